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
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)  # ten bits each


def new_job_id() -> str:
    """Make an id: 48 bits of milliseconds, then 80 random bits. Costs about a microsecond; bulk submission counts."""
    ms, pairs = time.time_ns() // 1_000_000, _PAIRS
    moment = (
        f"{pairs[ms >> 40]}{pairs[ms >> 30 & 1023]}{pairs[ms >> 20 & 1023]}{pairs[ms >> 10 & 1023]}{pairs[ms & 1023]}"
    )
    return f"job_{moment}{os.urandom(_RANDOM_CHARACTERS).translate(_TO_CHARACTERS).decode()}"
