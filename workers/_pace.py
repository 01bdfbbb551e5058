"""The pace of a transfer: how much came, how fast over the last seconds, and when it will be done."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from workplatform.errors import TooSlowError

_WINDOW_S: Final = 15.0
_SAMPLE_S: Final = 0.5
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


class Pace:
    """Counts the bytes of one file over all its connections; one thread writes, any may read.

    `least` is the bytes per second below which a full window of fifteen seconds is too slow; 0 allows any.
    """

    def __init__(self, *, least: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._least = least
        self._clock = clock
        self._counted = 0
        self._samples = deque([(clock(), 0)])
        self.have = 0
        self.total: int | None = None

    def count(self, number: int) -> bool:
        """Count bytes that came; returns whether half a second has passed since it last did.

        Raises TooSlowError.
        """
        self._counted += number
        now = self._clock()
        if now - self._samples[-1][0] < _SAMPLE_S:
            return False
        self._samples.append((now, self._counted))
        self._check(now)
        return True

    @property
    def per_second(self) -> float:
        """Bytes per second over the window."""
        (begun, before), (now, counted) = self._samples[0], self._samples[-1]
        return (counted - before) / (now - begun) if now > begun else 0.0

    @property
    def percent(self) -> float:
        """How much is there, 0 to 100; 0 while the length is unknown."""
        return 100.0 * self.have / self.total if self.total else 0.0

    def sentence(self) -> str:
        """Say how far it is."""
        speed = f", {amount(self.per_second)}/s" if self.per_second else ""
        if self.total is None:
            return f"{amount(self.have)}{speed}"
        left = f", {duration(max(0, self.total - self.have) / self.per_second)} left" if self.per_second else ""
        return f"{amount(self.have)} of {amount(self.total)}{speed}{left}"

    def _check(self, now: float) -> None:
        while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW_S:
            self._samples.popleft()
        if self._least and now - self._samples[0][0] >= _WINDOW_S and self.per_second < self._least:
            raise TooSlowError(
                f"{amount(self.per_second)}/s over {_WINDOW_S:.0f} s, less than the {amount(self._least)}/s asked for"
            )


def amount(size: float) -> str:
    """Say a number of bytes in a person's unit, decimal."""
    unit = 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size /= 1000
        unit += 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 or size >= 99.95 else f"{size:.1f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """Say how long, in the two largest units."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
