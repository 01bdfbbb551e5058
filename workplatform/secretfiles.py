"""Secrets from files: `API_KEY_FILE=/run/secrets/api_key` says where API_KEY is, as container secrets are given."""

from collections.abc import Collection, Mapping
from pathlib import Path

from workplatform.errors import BadInputError, SettingsError

SUFFIX = "_FILE"


def no_secret(name: str) -> str:
    """Be the secrets of a platform that has none."""
    raise BadInputError(f"there is no secret {name!r}: the operator keeps them as files in SECRETS_DIR")


def named_secret(folder: str, name: str) -> str:
    """Return what the file of that name in a folder of secrets says; raises BadInputError if there is none."""
    path = Path(folder) / name
    if not folder or path.name != name or not path.is_file():
        return no_secret(name)
    try:
        return _read("the secret", path)
    except SettingsError as error:
        raise BadInputError(
            f"the secret {name!r} cannot be used: its file is empty, or no text that we can read"
        ) from error


def with_secrets(values: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Return the values, each `NAME_FILE` for one of the names replaced by `NAME` with what the file says.

    An empty one is as good as none; white space around a secret is no part of it. Raises SettingsError if a file
    cannot be read or is empty, or if a secret is given both ways.
    """
    found = dict(values)
    for name in names:
        path = found.pop(name + SUFFIX, "")
        if not path:
            continue
        if found.get(name):
            raise SettingsError(f"{name} and {name}{SUFFIX} are both set: remove one of them")
        found[name] = _read(name + SUFFIX, Path(path))
    return found


def _read(name: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{name}={path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{name}={path} is not text in UTF-8") from error
    if not text:
        raise SettingsError(f"{name}={path} is empty")
    return text
