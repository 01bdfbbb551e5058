"""API keys: who may call the API, by name, so that limits and turns can tell callers apart."""

import hmac
import re
from collections.abc import Mapping
from typing import Final

from workplatform.errors import SettingsError

DEFAULT: Final = "default"  # the name of API_KEY, and of whoever calls a keyless platform
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_SHORTEST: Final = 16


def read_api_keys(text: str) -> dict[str, str]:
    """Return the keys of `name:key,name:key` by name; raises ValueError naming, never showing, what is wrong."""
    keys: dict[str, str] = {}
    for number, part in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
        name, colon, key = (word.strip() for word in part.partition(":"))
        if not colon or not _NAME.fullmatch(name):
            raise ValueError(
                f"entry {number} must be name:key, the name of 1 to 32 lower case letters, digits and inner hyphens"
            )
        if name == DEFAULT:
            raise ValueError(f"the key named {DEFAULT} is API_KEY: set that, or take another name")
        if name in keys:
            raise ValueError(f"there are two keys named {name}: rename one")
        if len(key) < _SHORTEST:
            raise ValueError(f"the key of {name} is shorter than {_SHORTEST} characters: take a longer one")
        keys[name] = key
    return keys


def all_keys(api_key: str | None, named: Mapping[str, str]) -> dict[str, str]:
    """Return every key by name; raises SettingsError, naming them, if two are the same."""
    keys = {DEFAULT: api_key, **named} if api_key else dict(named)
    names: dict[str, str] = {}
    for name, key in keys.items():
        if key in names:
            first = "API_KEY" if names[key] == DEFAULT else f"the key of {names[key]}"
            raise SettingsError(f"API_KEYS: the key of {name} is the same as {first}: give each its own")
        names[key] = name
    return keys


def name_of(given: bytes, keys: Mapping[str, str]) -> str | None:
    """Return the name of a key that was given, if it is one; how long that takes tells nothing of the keys."""
    names = [name for name, key in keys.items() if hmac.compare_digest(given, key.encode())]
    return names[0] if names else None
