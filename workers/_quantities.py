"""Numbers of bytes as people write them."""

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

MOST_BYTES = 10**15

_BYTES = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([kmg]?)(i?)b?", re.IGNORECASE)
_POWERS = ("", "k", "m", "g")


def _bytes(value: Any) -> Any:
    """Read "25M", "25 MB" (millions) and "25MiB" (2^20); leave all else to the validation of integers."""
    if not isinstance(value, str):
        return value
    match = _BYTES.fullmatch(value.strip())
    if match is None or (match[3] and not match[2]):
        raise ValueError('a size is a number of bytes, or a text such as "800k", "25M" or "25MiB"')
    return int(Fraction(match[1]) * (1024 if match[3] else 1000) ** _POWERS.index(match[2].lower()))


ByteSize = Annotated[
    int,
    BeforeValidator(_bytes),
    WithJsonSchema(
        {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d+(\.\d+)?\s*([kKmMgG]i?)?[bB]?$"}]},
        mode="validation",
    ),
]
"""A number of bytes; a text with a unit is read too."""


def in_words(size: float) -> str:
    """Return a number of bytes as a text that can be read again, rounded up in its third digit."""
    for power, unit in ((9, "G"), (6, "M"), (3, "k")):
        if size >= 10**power:
            scaled = size / 10**power
            digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
            return f"{-(-scaled * 10**digits // 1) / 10**digits:.{digits}f}{unit}"
    return str(-int(-size // 1))
