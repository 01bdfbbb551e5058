"""Signatures of what the platform sends: Standard Webhooks 1.0 with symmetric keys (HMAC-SHA256).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from workplatform.errors import BadInputError
from workplatform.secretfiles import named_secret

PREFIX: Final = "whsec_"
DEFAULT: Final = "default"
FOLDER: Final = "webhooks"
_FEWEST_BYTES, _MOST_BYTES = 24, 64

# Gives the keys of a name, the one that signs first being the newest; raises BadInputError for an unknown name.
Keys = Callable[[str], Sequence[bytes]]


def read_keys(text: str) -> tuple[bytes, ...]:
    """Read secrets of the form `whsec_BASE64`, of 24 to 64 bytes each, separated by white space.

    Raises ValueError, which never quotes a secret.
    """
    words = text.split()
    if not words:
        raise ValueError("there is no secret")
    return tuple(_key(word) for word in words)


def _key(word: str) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(PREFIX), validate=True) if word.startswith(PREFIX) else b""
    except binascii.Error:
        key = b""
    if not _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(
            f"a webhook secret is {PREFIX} and the base64 of {_FEWEST_BYTES} to {_MOST_BYTES} random bytes"
        )
    return key


def signed_headers(keys: Sequence[bytes], *, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the headers that let a receiver check a message; `at_s` is the moment of sending in Unix seconds.

    With several keys there is a signature by each, so that a receiver may know the old one or the new one.
    """
    signed = b".".join((message_id.encode(), str(at_s).encode(), body))
    signatures = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def no_keys(name: str) -> Sequence[bytes]:
    """Be the keys of a platform that has none."""
    raise BadInputError(
        f"there is no webhook secret {name!r}: the operator sets WEBHOOK_SECRET, or keeps files in SECRETS_DIR/{FOLDER}"
    )


def keys_of(webhook_secret: SecretStr | None, secrets_dir: str) -> Keys:
    """Return the keys that the operator has set: `default` is WEBHOOK_SECRET, other names are files."""
    return partial(_keys, webhook_secret, secrets_dir)


def _keys(webhook_secret: SecretStr | None, secrets_dir: str, name: str) -> Sequence[bytes]:
    if name == DEFAULT:
        return read_keys(webhook_secret.get_secret_value()) if webhook_secret else no_keys(name)
    if not secrets_dir or not (Path(secrets_dir) / FOLDER / Path(name).name).is_file():
        return no_keys(name)
    try:
        return read_keys(named_secret(str(Path(secrets_dir) / FOLDER), name))
    except ValueError as error:
        raise BadInputError(f"the webhook secret {name!r} cannot be used: {error}") from error
