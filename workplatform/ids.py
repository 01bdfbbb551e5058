"""Ids of jobs: ULIDs (github.com/ulid/spec), so that they sort by the moment of their making."""

import os
import re
import time
from typing import Final

JOB_ID: Final = re.compile(r"job_[0-7][0-9A-HJKMNP-TV-Z]{25}")

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_CHARACTERS: Final = 16
# 256 is a multiple of 32, so every character is as likely as any other
_TO_CHARACTERS: Final = bytes(ord(_ALPHABET[byte % 32]) for byte in range(256))


def new_job_id() -> str:
    """Make an id: 48 bits of milliseconds, then 80 random bits. Costs about a microsecond; bulk submission counts."""
    random = os.urandom(_RANDOM_CHARACTERS).translate(_TO_CHARACTERS).decode()
    return f"job_{_time_part(time.time_ns() // 1_000_000)}{random}"


class _TimePart:
    """The first ten characters, worked out once a millisecond."""

    def __init__(self) -> None:
        self._last = (0, "")

    def __call__(self, milliseconds: int) -> str:
        moment, text = self._last
        if moment != milliseconds:
            text = "".join(_ALPHABET[milliseconds >> shift & 31] for shift in range(45, -1, -5))
            self._last = (milliseconds, text)
        return text


_time_part = _TimePart()
