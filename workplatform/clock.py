"""The clock: the moment by Redis's clock, the only one that counts, as far as this process has learnt it.

The store's answers tell the moment now and then. As long as the host's clock agrees with them within half a second, it
is taken as it is; a host whose clock is wrong is set right by the difference.
"""

import time
from datetime import UTC, datetime
from typing import Final

_TOLERATED_MS: Final = 500


class Clock:
    """The host's clock and what it is wrong by."""

    def __init__(self) -> None:
        self._wrong_by_ms = 0

    def learn(self, moment_ms: int) -> None:
        """Take note of the moment that Redis has just told."""
        wrong_by_ms = moment_ms - time.time_ns() // 1_000_000
        if abs(wrong_by_ms - self._wrong_by_ms) > _TOLERATED_MS:
            self._wrong_by_ms = 0 if abs(wrong_by_ms) <= _TOLERATED_MS else wrong_by_ms

    def now_ms(self) -> int:
        """Return milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self._wrong_by_ms

    def now(self) -> datetime:
        """Return the moment, aware UTC."""
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)


CLOCK: Final = Clock()
