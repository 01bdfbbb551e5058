"""Deafness: a worker that lives, beats and announces itself, and takes none of the jobs that wait for it.

What a broker's client does after an outage has gone wrong before, in ways that no error tells of. So the outcome is
watched: messages stand in the queue, the worker could take one, and does not. Then it ends, and whoever started it
starts it again. A queue that is paused or empty, a pool that is full and a node without a free slot are no deafness.
"""

import time
from datetime import timedelta
from typing import Final

_LOOKS: Final = 3


class Watchdog:
    """Watches one worker; asked after each announcement."""

    def __init__(self, patience: timedelta, *, every_s: float) -> None:
        self._patience_s = patience.total_seconds()
        self._longest_gap_s = 3 * every_s
        self._taken = 0
        self._looked_at = float("-inf")
        self._idle_since = 0.0
        self._looks = 0

    def is_deaf(self, *, could_take: bool, taken: int) -> bool:
        """Whether the worker could have taken a job all the time and took none; `taken` counts what it ever took.

        A process that was stopped, or could not ask Redis, has not been able to take any.
        """
        now = time.monotonic()
        if not could_take or taken != self._taken or now - self._looked_at > self._longest_gap_s:
            self._idle_since, self._looks = now, 0
        self._taken, self._looked_at = taken, now
        self._looks += 1
        return could_take and self._looks > _LOOKS and now - self._idle_since >= self._patience_s
