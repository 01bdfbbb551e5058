"""How busy a page is: its open requests, and how long nothing has happened."""

import asyncio
import time
from typing import Any


class Activity:
    """Counts what a page does; for one event loop."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._last = time.monotonic()
        self._tasks: set[asyncio.Future[Any]] = set()

    def begin(self, request: str) -> None:
        """Note that a request was sent."""
        self._open.add(request)
        self.note()

    def end(self, request: str) -> None:
        """Note that a request has ended."""
        self._open.discard(request)
        self.note()

    def note(self) -> None:
        """Note that something happened."""
        self._last = time.monotonic()

    def keep(self, task: "asyncio.Future[Any]") -> None:
        """Hold a task until it is done: the loop itself keeps only a weak reference."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def open_requests(self) -> int:
        """How many requests have no end yet."""
        return len(self._open)

    @property
    def quiet_s(self) -> float:
        """Seconds since something happened."""
        return time.monotonic() - self._last
