"""A listener: one client of the event stream, fast or slow."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from gevent.event import Event

from api.frames import EventId, Frame, Selection

MAX_BACKLOG: Final = 1000
MAX_DEBT: Final = 10_000
STALLED_S: Final = 60.0
HEARTBEAT: Final = b": alive\n\n"


class Listener:
    """Takes frames from the hub and gets them to its client without ever making the hub wait.

    While the client keeps up, the hub's greenlet writes into its socket, which costs one system call a client. What
    the socket does not take at once goes to a backlog, and the client's own greenlet works that off through the
    server's usual path. In the backlog a job's progress replaces its earlier progress; when it is long, progress and
    log lines go. What then still does not fit is a client that is gone for good: it is cut off, and gets the rest by
    Last-Event-ID if it comes back.
    """

    def __init__(self, selection: Selection, socket: Any = None) -> None:
        self.selection = selection
        self.floor: EventId | None = None  # frames up to here have been told otherwise
        self.joined_at: str | None = None  # what lies after this place of the stream comes from the hub
        self.is_placed = Event()
        self.is_closed = False
        self._socket = socket
        self._backlog: dict[object, Frame | bytes] = {}
        self._thinned_at = MAX_BACKLOG  # how long the backlog may grow before it is looked through again
        self._unsent: memoryview | None = None
        self._is_idle = False
        self._has_work = Event()
        self._stalled_since = 0.0

    def place(self, position: str) -> None:
        """Note where the hub stands: from here on it tells everything."""
        self.joined_at = position
        self.is_placed.set()

    def offer(self, frames: Sequence[Frame], wire: bytes) -> None:
        """Take frames, of which `wire` is the finished form; never waits."""
        if self.floor is not None:
            self._offer_above(self.floor, frames)
        elif not self._is_idle or not self._sent(wire):
            self._put_back(frames)

    def notify(self, data: bytes) -> None:
        """Take a message about the stream itself."""
        if not self._is_idle or not self._sent(self.selection.on_wire(data)):
            self._backlog[len(self._backlog), data] = data
            self._has_work.set()

    def pulse(self) -> None:
        """Keep proxies awake, find out who has left, and cut off who has not read for a minute."""
        if self._is_idle:
            self._sent(self.selection.on_wire(HEARTBEAT))
        elif self._stalled_since and time.monotonic() - self._stalled_since > STALLED_S:
            self.close()

    def close(self) -> None:
        """End the stream; a greenlet that is stuck in writing to the client is freed."""
        self.is_closed = True
        self._has_work.set()
        self.is_placed.set()
        if self._stalled_since:
            self._cut()

    def live(self) -> Iterator[bytes]:
        """Yield the backlog whenever there is one, until the stream is closed; runs in the client's greenlet."""
        while True:
            if self._unsent is not None:
                self._flush(self._unsent)
            elif self._backlog:
                yield from self._worked_off()
            elif self.is_closed:
                return
            else:
                self._wait()

    def _wait(self) -> None:
        self._stalled_since = 0.0
        self._is_idle = self._socket is not None
        self._has_work.wait()
        self._has_work.clear()
        self._is_idle = False

    def _flush(self, rest: memoryview) -> None:
        self._unsent = None
        self._stalled_since = time.monotonic()
        self._socket.sendall(rest)

    def _worked_off(self) -> Iterator[bytes]:
        backlog, self._backlog, self._thinned_at = self._backlog, {}, MAX_BACKLOG
        named = self.selection.named
        parts = (part if isinstance(part, bytes) else part.encoded(named=named) for part in backlog.values())
        data = b"".join(parts)
        self._stalled_since = time.monotonic()
        yield data

    def _sent(self, wire: bytes) -> bool:
        """Write as much as the socket takes; False if it takes nothing."""
        try:
            count = self._socket.send(wire, 0, 0.0)
        except BlockingIOError:
            self._is_idle = False
            self._has_work.set()
            return False
        except OSError:
            self.is_closed = True
            self._is_idle = False
            self._has_work.set()
            return True
        if count < len(wire):
            self._unsent = memoryview(wire)[count:]  # shared with every other slow client, not copied
            self._is_idle = False
            self._has_work.set()
        return True

    def _offer_above(self, floor: EventId, frames: Sequence[Frame]) -> None:
        self._put_back([frame for frame in frames if frame.id > floor])
        if frames[-1].id >= floor:
            self.floor = None

    def _put_back(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            place = frame.place
            self._backlog.pop(place, None)
            self._backlog[place] = frame
        if len(self._backlog) > min(self._thinned_at, MAX_DEBT):
            self._thin()
        if len(self._backlog) > MAX_DEBT:
            self._backlog.clear()
            self.is_closed = True
            self._cut()
        if self._backlog or self.is_closed:
            self._has_work.set()

    def _thin(self) -> None:
        """Drop progress and log lines. What stays grows by as much again before the next time: looking through all of
        it at every event would hold up everybody for one client that does not read.
        """
        self._backlog = {
            place: part for place, part in self._backlog.items() if isinstance(part, bytes) or not part.is_droppable
        }
        self._thinned_at = len(self._backlog) + MAX_BACKLOG

    def _cut(self) -> None:
        if self._socket is not None:
            try:
                self._socket.shutdown(2)
            except OSError:
                return
