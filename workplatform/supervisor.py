"""The supervisor: keeps roles running as child processes, and ends them together.

One thread and one loop, so that forking is safe at any time. What can go wrong and what it costs: a role that dies is
started again, at once the first time and then ever more slowly, so that a broken role neither stays down nor
burns the machine; a role that ignores the end is killed after the grace; if the supervisor itself is killed,
the kernel tells the children.
"""

import errno
import math
import os
import select
import selectors
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType, TracebackType
from typing import Any, Self

import structlog

from workplatform.linelog import LineCutter, LineLog
from workplatform.processes import Child, Start, signal_group, spawn

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_STEADY_S = 60.0
_GRACE_BEYOND_S = 8.0  # a worker ends itself 5 s after the grace, whatever its handlers do
_FOUNDATION_GRACE_S = 15.0
_POLL_S = 0.05
_ASK_S = 0.1
_STDOUT = 1
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

log: Any = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Role:
    """A part of the platform that is one process.

    A foundation is what the other roles stand on: it is stopped after them.
    """

    name: str
    start: Start
    is_foundation: bool = False


@dataclass(slots=True)
class _Place:
    """A role, and the process that fills it."""

    role: Role
    child: Child | None = None
    cutter: LineCutter = field(default_factory=LineCutter)
    started_at: float = 0.0
    deaths: int = 0
    restart_at: float | None = None


def restart_delay(deaths: int) -> timedelta:
    """Return the wait before a role that died `deaths` times in a row is started again: 0.5 s, doubling to 30 s."""
    return timedelta(seconds=min(_FIRST_DELAY_S * 2.0 ** min(deaths - 1, 32), _LONGEST_DELAY_S))


def ending(status: int) -> str:
    """Say how a process ended, from its wait status."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"killed by {signal.Signals(number).name}"
        except ValueError:  # a real-time signal has no name
            return f"killed by signal {number}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"


class Supervisor:
    """Runs roles until it is told to stop by SIGINT, SIGTERM, SIGHUP or the loss of its terminal.

    A second signal hurries, a third kills.

    A context manager: on leaving, every process it started has ended. `grace` is what the roles get to end by
    themselves.
    """

    def __init__(self, lines: LineLog, *, grace: timedelta) -> None:
        self._lines = lines
        self._grace_s = grace.total_seconds() + _GRACE_BEYOND_S
        self._places: list[_Place] = []
        self._selector = selectors.DefaultSelector()
        self._stop_signals = 0
        self._old_handlers: dict[signal.Signals, Any] = {}
        self._wake_reader, self._wake_writer = os.pipe()
        for end in (self._wake_reader, self._wake_writer):
            os.set_blocking(end, False)
        self._hangups = select.epoll() if sys.platform == "linux" else None

    def __enter__(self) -> Self:
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        if self._hangups is not None and os.isatty(_STDOUT):
            # The kernel tells a lost terminal to the session's leader only, and `make` keeps it to itself. An epoll
            # that waits for nothing still reports hang-ups, and is itself something to wait for.
            self._hangups.register(_STDOUT, 0)
            self._selector.register(self._hangups, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        for number in _STOPPING:
            self._old_handlers[number] = signal.signal(number, self._count_stop)
        # a handler of any kind makes the wake-up pipe speak when a child ends
        self._old_handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            self._end(is_foundation=False, grace_s=self._grace_s, hurry_at=2)
            self._end(is_foundation=True, grace_s=_FOUNDATION_GRACE_S, hurry_at=3)
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
            self._selector.close()
            if self._hangups is not None:
                self._hangups.close()
            os.close(self._wake_reader)
            os.close(self._wake_writer)

    def start(self, role: Role) -> None:
        """Start a role, and keep it running from now on."""
        place = _Place(role)
        self._places.append(place)
        self._fill(place)

    def deaths(self, name: str) -> int:
        """Return how often in a row a role died soon after its start."""
        return next(place.deaths for place in self._places if place.role.name == name)

    def run(self, until: Callable[[], bool] | None = None) -> bool:
        """Supervise until `until()` is true, or a signal says stop; returns False in the latter case.

        `until` is asked ten times a second.
        """
        self._turn(0)  # what was said meanwhile comes first
        asked_at = -math.inf
        while not self._stop_signals:
            if until is not None and time.monotonic() - asked_at >= _ASK_S:
                if until():
                    return True
                asked_at = time.monotonic()
            self._turn(self._pause(_ASK_S if until is not None else None))
            self._restart_due()
        return False

    def _count_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_signals += 1

    def _fill(self, place: _Place) -> None:
        others = [other.child.output for other in self._places if other.child is not None]
        own = [self._selector.fileno(), self._wake_reader, self._wake_writer]
        if self._hangups is not None:
            own.append(self._hangups.fileno())
        child = spawn(place.role.start, forget=[*own, *others])
        place.child, place.cutter = child, LineCutter()
        place.started_at, place.restart_at = time.monotonic(), None
        self._selector.register(child.output, selectors.EVENT_READ, place)
        log.debug("role_started", name=place.role.name, pid=child.pid)

    def _pause(self, longest_s: float | None) -> float | None:
        """Return how long the loop may sleep."""
        due = [place.restart_at - time.monotonic() for place in self._places if place.restart_at is not None]
        waits = due if longest_s is None else [*due, longest_s]
        return max(0.0, min(waits)) if waits else None

    def _turn(self, timeout_s: float | None) -> None:
        """Wait for output, a signal or a death, and deal with it."""
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._hangups:
                self._selector.unregister(key.fileobj)
                self._stop_signals += 1
            elif key.data is None:
                _drain(self._wake_reader)
            else:
                self._relay(key.data, key.fd)
        for place in self._places:
            if place.child is not None:
                self._reap(place, place.child)

    def _relay(self, place: _Place, fd: int) -> bool:
        """Log what a role wrote; returns whether there may be more."""
        try:
            data = os.read(fd, 65_536)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        for line in place.cutter.feed(data):
            self._lines.write(place.role.name, line)
        if not data and fd in self._selector.get_map():
            self._selector.unregister(fd)
        return bool(data)

    def _reap(self, place: _Place, child: Child) -> None:
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid == 0:
            return
        # what the role started in its group must not hold its port or its output any longer
        signal_group(child.pid, signal.SIGKILL)
        while self._relay(place, child.output):
            pass
        for line in place.cutter.end():
            self._lines.write(place.role.name, line)
        if child.output in self._selector.get_map():
            self._selector.unregister(child.output)
        os.close(child.output)
        place.child = None
        self._after_death(place, ending(status))

    def _after_death(self, place: _Place, how: str) -> None:
        if self._stop_signals:
            log.info("role_ended", name=place.role.name, how=how)
            return
        lived_s = time.monotonic() - place.started_at
        place.deaths = 1 if lived_s >= _STEADY_S else place.deaths + 1
        delay_s = restart_delay(place.deaths).total_seconds()
        place.restart_at = time.monotonic() + delay_s
        log.warning("role_died", name=place.role.name, how=how, restart_in_s=delay_s)

    def _restart_due(self) -> None:
        for place in self._places:
            if place.restart_at is not None and place.restart_at <= time.monotonic() and not self._stop_signals:
                self._fill(place)

    def _end(self, *, is_foundation: bool, grace_s: float, hurry_at: int) -> None:
        """End the chosen roles: TERM, the grace, KILL; `hurry_at` stop signals cut the grace short."""
        self._stop_signals = max(self._stop_signals, 1)
        chosen = [place for place in self._places if place.role.is_foundation == is_foundation]
        for place in chosen:
            if place.child is not None:
                os.kill(place.child.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        killed = False
        while left := [place for place in chosen if place.child is not None]:
            is_over = self._stop_signals >= hurry_at or time.monotonic() > deadline
            if is_over and not killed:
                killed = True
                log.warning("killing_what_has_not_ended", roles=[place.role.name for place in left])
                for place in left:
                    signal_group(place.child.pid, signal.SIGKILL)  # type: ignore[union-attr]
            self._turn(_POLL_S)


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        return
