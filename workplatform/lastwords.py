"""The reporter of an attempt that has to end, while it puts right what it cannot leave as it is."""

import time
from datetime import timedelta

from workplatform.lateness import TimeLimitError
from workplatform.ports import Reporter


class LastWords:
    """Passes on what is told, and finds no reason to stop before the time is over."""

    def __init__(self, reporter: Reporter, within: timedelta) -> None:
        self._reporter = reporter
        self._within = within
        self._ends = time.monotonic() + within.total_seconds()

    def progress(self, percent: float, message: str | None) -> None:
        """Note how far the attempt is."""
        self._reporter.progress(percent, message)

    def stage(self, name: str) -> None:
        """Note what the attempt is doing."""
        self._reporter.stage(name)

    def log(self, line: str) -> None:
        """Append a line to the job's log."""
        self._reporter.log(line)

    def check(self) -> None:
        """Raise TimeLimitError when the time is over."""
        if time.monotonic() > self._ends:
            raise TimeLimitError(f"putting things right took longer than {self._within}")
