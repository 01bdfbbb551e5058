"""Ids of jobs: ULIDs (github.com/ulid/spec), so that they sort by the moment of their making.

Monotonic within a process, as the specification describes it: ids of the same millisecond count up, so that an array
of jobs is listed in its own order. Written out here because bulk submission makes 50,000 of them a second.
"""

import os
import re
import threading
from functools import lru_cache
from typing import Final

from workplatform.clock import CLOCK

JOB_ID: Final = re.compile(r"job_[0-7][0-9A-HJKMNP-TV-Z]{25}")

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)  # ten bits each
_HEAD_SHIFTS: Final = tuple(range(90, -1, -10))
_TAIL_BITS: Final = 30
_RANDOM_BITS: Final = 80
_SET_BACK: Final = 2000 << _RANDOM_BITS  # further back than this, the clock was wrong before


class _Clock:
    """The last id's number: 48 bits of milliseconds, then 80 bits that are random or counted on from there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def tick(self) -> int:
        """Return a number above every one before, unless the clock was set back."""
        fresh = CLOCK.now_ms() << _RANDOM_BITS
        with self._lock:
            if fresh > self._last or self._last - fresh > _SET_BACK:
                # The top bit stays free, so that counting on cannot reach the next millisecond.
                self._last = fresh | int.from_bytes(os.urandom(10), "big") >> 1
            else:
                self._last += 1
            return self._last


_clock: Final = _Clock()


def new_job_id() -> str:
    """Make an id."""
    number = _clock.tick()
    tail = _PAIRS[number >> 20 & 1023] + _PAIRS[number >> 10 & 1023] + _PAIRS[number & 1023]
    return _head(number >> _TAIL_BITS) + tail


@lru_cache(maxsize=1)
def _head(bits: int) -> str:
    """Spell what ids that count up within a millisecond have in common."""
    return "job_" + "".join([_PAIRS[bits >> shift & 1023] for shift in _HEAD_SHIFTS])
