"""The hub: one reader of the event stream a process, whose events go to every client."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import gevent
import structlog

from api.catchup import RESET, UNAVAILABLE
from api.frames import Frame, Selection, event_id, notice
from api.listener import Listener
from workplatform.errors import StoreUnavailableError
from workplatform.store.events import EventLog

_log = structlog.get_logger()

HEARTBEAT_S: Final = 15.0
_BLOCK_S: Final = 1.0
_PAUSE_S: Final = 0.25
_RESUMED = notice("stream:resumed", "the job store is back; no event was lost")


class Hub:
    """Follows the stream while anybody listens. For the greenlets of one thread."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._groups: defaultdict[Selection, set[Listener]] = defaultdict(set)
        self._reader: gevent.Greenlet | None = None
        self._heart: gevent.Greenlet | None = None
        self._position: str | None = None
        self._is_away = False
        self._is_closed = False

    @property
    def clients(self) -> int:
        """How many clients listen."""
        return sum(len(group) for group in self._groups.values())

    def join(self, listener: Listener) -> None:
        """Tell a listener what happens from now on; it is placed once the hub knows where the stream stands."""
        if self._is_closed:
            listener.close()
            return
        self._groups[listener.selection].add(listener)
        if self._position is not None:
            listener.place(self._position)
        if self._reader is None:
            self._reader = gevent.spawn(self._read)
            self._heart = gevent.spawn(self._beat)

    def leave(self, listener: Listener) -> None:
        """Tell a listener nothing more; the last one to leave stops the reader."""
        listener.close()
        group = self._groups[listener.selection]
        group.discard(listener)
        if not group:
            del self._groups[listener.selection]
        if not self._groups:
            self._stop()

    def close(self) -> None:
        """End every stream, and those that are still to come."""
        self._is_closed = True
        for listener in self._listeners():
            listener.close()
        self._stop()

    def _stop(self) -> None:
        for greenlet in (self._reader, self._heart):
            if greenlet is not None:
                greenlet.kill(block=False)
        self._reader = self._heart = self._position = None
        self._is_away = False

    def _listeners(self) -> Iterator[Listener]:
        for group in self._groups.values():
            yield from group

    def _read(self) -> None:
        while self._is_reader():
            try:
                self._turn()
            except StoreUnavailableError as error:
                self._gone(error)
                gevent.sleep(_PAUSE_S)

    def _is_reader(self) -> bool:
        """Whether the running greenlet is not one that was stopped and has not noticed yet."""
        return self._reader is gevent.getcurrent()

    def _turn(self) -> None:
        """Wait for events and hand them out."""
        if self._position is None:
            self._start_at(self._events.last_id())
        elif self._is_away:
            self._back(self._position)
        else:
            events = self._events.follow(self._position, block_s=_BLOCK_S)
            if events and self._is_reader():
                self._position = events[-1].id
                self._hand_out([Frame(event) for event in events])

    def _start_at(self, position: str) -> None:
        if self._is_reader():
            self._position = position
            self._is_away = False
            for listener in self._listeners():
                listener.place(position)

    def _hand_out(self, frames: list[Frame]) -> None:
        for selection, group in self._groups.items():
            if chosen := selection.of(frames):
                wire = selection.on_wire(selection.joined(chosen))
                for listener in group:
                    listener.offer(chosen, wire)

    def _gone(self, error: StoreUnavailableError) -> None:
        if not self._is_away and self._is_reader():
            self._is_away = True
            _log.warning("event_stream_unavailable", error=error.message)
            self._tell(UNAVAILABLE)

    def _back(self, position: str) -> None:
        """Go on where we stopped, unless the store has lost that place meanwhile."""
        oldest, newest = self._events.window()
        if not self._is_reader():
            return
        here = event_id(position)
        is_whole = here <= event_id(newest) and (here == (0, 0) or event_id(oldest) <= here)
        if here > event_id(newest):
            self._position = newest
        self._is_away = False
        self._tell(_RESUMED if is_whole else RESET)
        _log.info("event_stream_resumed", lossless=is_whole)

    def _tell(self, data: bytes) -> None:
        """Tell something about the stream; who is still catching up finds out alone."""
        for listener in self._listeners():
            if listener.is_placed.is_set():
                listener.notify(data)

    def _beat(self) -> None:
        while True:
            gevent.sleep(HEARTBEAT_S)
            for listener in self._listeners():
                listener.pulse()
