"""Ids of jobs: ULIDs (github.com/ulid/spec), so that they sort by the moment of their making.

Monotonic within a process, as the specification describes it: ids of the same millisecond count up, so that an array
of jobs is listed in its own order. Written out here because bulk submission makes 50,000 of them a second.
"""

import os
import re
from itertools import count
from typing import Final

from workplatform.clock import CLOCK

JOB_ID: Final = re.compile(r"job_[0-7][0-9A-HJKMNP-TV-Z]{25}")

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)  # ten bits each
_HEAD_SHIFTS: Final = tuple(range(90, -1, -10))
_HEAD_RANDOM_BITS: Final = 50
_TAIL_BITS: Final = 30
_SET_BACK_MS: Final = 2000  # further back than this, the clock was wrong before


class _Mint:
    """The millisecond of the last id, what the ids of it have in common, and the numbers at their ends.

    They are replaced at once, so that threads need no lock.
    """

    def __init__(self) -> None:
        self._current = (0, "", count())

    def next(self) -> str:
        """Return an id above every one that this thread had before, unless the clock was set back."""
        now_ms = CLOCK.now_ms()
        last_ms, head, numbers = self._current
        if now_ms > last_ms or last_ms - now_ms > _SET_BACK_MS:
            _, head, numbers = self._current = (now_ms, *_beginning(now_ms))
        tail = next(numbers)
        return head + _PAIRS[tail >> 20] + _PAIRS[tail >> 10 & 1023] + _PAIRS[tail & 1023]


def _beginning(now_ms: int) -> tuple[str, "count[int]"]:
    """Return what ids of a millisecond begin with, and numbers that count on from a random one.

    The top bit of these stays free, so that their end is out of reach.
    """
    chance = int.from_bytes(os.urandom(10), "big")
    bits = now_ms << _HEAD_RANDOM_BITS | chance >> _TAIL_BITS
    head = "job_" + "".join([_PAIRS[bits >> shift & 1023] for shift in _HEAD_SHIFTS])
    return head, count(chance & (1 << _TAIL_BITS - 1) - 1)


_mint: Final = _Mint()


def new_job_id() -> str:
    """Make an id."""
    return _mint.next()
