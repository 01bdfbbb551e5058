"""The pulse of a running attempt: what its handler tells, and the reason to stop that it is told."""

import threading
import time
from collections import deque
from datetime import timedelta
from typing import Any, Final, NamedTuple

from workplatform.errors import PlatformError
from workplatform.lateness import StalledError, TimeLimitError
from workplatform.store.keys import LOG_LINES
from workplatform.store.records import Beat
from workplatform.wellformed import well_formed

_LONGEST_LINE: Final = 4000
_LINES_A_BEAT: Final = 200
_MERCY: Final = timedelta(seconds=30)


class State(NamedTuple):
    """How far an attempt is: 0 to 100, what it does in a word and in a sentence."""

    progress: float = 0.0
    stage: str = ""
    message: str = ""


class Pulse:
    """The Reporter of one attempt. The handler's thread writes it, the heart reads it."""

    def __init__(
        self,
        job_id: str,
        fence: int,
        *,
        time_limit: timedelta,
        on_change: threading.Event,
        stall_timeout: timedelta | None = None,
    ) -> None:
        self.job_id = job_id
        self.fence = fence
        self._lock = threading.Lock()
        self._on_change = on_change
        self._started = self._stage_started = time.monotonic()
        self._time_limit = time_limit
        self._stall_timeout = stall_timeout
        self._moved = self._started
        self._reason: PlatformError | None = None
        self._progress = 0.0
        self._stage = ""
        self._message = ""
        self._changed = False
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self.stages_ms: dict[str, int] = {}
        self.most_bytes = 0  # the most that was seen on disk before it was in place

    def progress(self, percent: float, message: str | None) -> None:
        """Note progress; it never goes backwards."""
        message = None if message is None else well_formed(message)
        with self._lock:
            if percent > self._progress or message not in (None, self._message):
                self._moved = time.monotonic()
            self._progress = max(self._progress, min(100.0, percent))
            self._message = self._message if message is None else message
            self._changed = True
        self._on_change.set()

    def stage(self, name: str) -> None:
        """Note the stage, and how long the one before took."""
        now = time.monotonic()
        with self._lock:
            self._end_stage(now)
            self._stage, self._stage_started = well_formed(name), now
            self._moved = now
            self._changed = True
        self._on_change.set()

    def log(self, line: str) -> None:
        """Keep a line for the job's log."""
        with self._lock:
            self._lines.append(well_formed(line[:_LONGEST_LINE]))
            self._moved = time.monotonic()
        self._on_change.set()

    def check(self) -> None:
        """Raise the reason to stop, if there is one."""
        if self._reason is not None:
            raise self._reason
        if self.elapsed > self._time_limit:
            raise TimeLimitError(f"the job ran longer than its time limit of {self._time_limit}")
        if self._stall_timeout is not None and self._still > self._stall_timeout:
            raise StalledError(f"the attempt showed no progress and wrote nothing for {self._stall_timeout}")

    def takes(self, taken_bytes: int) -> None:
        """Note what the attempt has on disk: writing is a sign of life too."""
        with self._lock:
            if taken_bytes > self.most_bytes:
                self._moved = time.monotonic()
                self.most_bytes = taken_bytes

    def stop(self, reason: PlatformError) -> bool:
        """Have the handler's next check raise; the first reason stays. Returns whether this one is it."""
        with self._lock:
            is_first = self._reason is None
            if is_first:
                self._reason = reason
        return is_first

    @property
    def elapsed(self) -> timedelta:
        """Time since the attempt started."""
        return timedelta(seconds=time.monotonic() - self._started)

    @property
    def is_overdue(self) -> bool:
        """Whether a limit is over by so much that nothing can be expected of the handler any more."""
        is_stalled = self._stall_timeout is not None and self._still > self._stall_timeout + _MERCY
        return is_stalled or self.elapsed > self._time_limit + _MERCY

    @property
    def _still(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self._moved)

    @property
    def message(self) -> str:
        """The last message."""
        return self._message

    @property
    def state(self) -> State:
        """How far the attempt is."""
        with self._lock:
            return State(self._progress, self._stage, self._message)

    def take(self) -> Beat:
        """Return what is new since the last take."""
        with self._lock:
            lines = [self._lines.popleft() for _ in range(min(len(self._lines), _LINES_A_BEAT))]
            changed, self._changed = self._changed, False
            return Beat(self.job_id, self.fence, changed, self._progress, self._stage, self._message, lines)

    def give_back(self, beat: Beat) -> None:
        """Undo a take that could not be delivered."""
        with self._lock:
            self._lines.extendleft(reversed(beat.lines))
            self._changed = self._changed or beat.changed

    def end(self) -> list[str]:
        """Close the last stage and return the lines that are left."""
        with self._lock:
            self._end_stage(time.monotonic())
            return list(self._lines)

    def facts(self) -> dict[str, Any]:
        """Return what is worth logging at the end."""
        found = {"stages_ms": self.stages_ms, "most_bytes": self.most_bytes}
        return {name: value for name, value in found.items() if value}

    def _end_stage(self, now: float) -> None:
        if self._stage:
            spent_ms = round((now - self._stage_started) * 1000)
            self.stages_ms[self._stage] = self.stages_ms.get(self._stage, 0) + spent_ms
