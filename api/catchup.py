"""Catching up: what a client is told before it hears the hub."""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Final, TypeVar

import gevent

from api.frames import Frame, Selection, event_id, notice, snapshot
from api.listener import HEARTBEAT, Listener
from workplatform.errors import StoreUnavailableError
from workplatform.service import JobService

T = TypeVar("T")

RESET: Final = notice("stream:reset", "events were lost: what you know of the jobs may be old")
UNAVAILABLE: Final = notice("stream:unavailable", "the job store does not answer; events follow when it is back")

_PAUSE_S: Final = 1.0
_PAGE: Final = 500


class StreamClosed(Exception):  # noqa: N818 - not an error: the server ends the stream
    """The stream was closed before its client had caught up."""


class CatchUp:
    """Tells a client what it has missed, up to where the hub takes over: no event twice, none left out.

    A client that comes back with the id of the last event it saw gets what happened since; one that watches jobs and
    comes for the first time gets how they stand. While the store is away it waits, and says so.
    """

    def __init__(self, service: JobService, listener: Listener, last_seen: str) -> None:
        self._service = service
        self._listener = listener
        self._last_seen = last_seen

    def told(self) -> Iterator[bytes]:
        """Yield messages until the client knows all that the hub will not tell; raises StreamClosed."""
        joined_at = yield from self._joined_at()
        place = self._last_seen
        if place and (yield from self._is_lost(place)):
            yield RESET
            place = ""
        if not place and self._listener.selection.job_ids:
            place = yield from self._snapshots(self._listener.selection)
        if place:
            yield from self._replayed(place, joined_at)

    def _joined_at(self) -> Generator[bytes, None, str]:
        while not self._listener.is_placed.wait(_PAUSE_S):
            yield UNAVAILABLE
        if self._listener.joined_at is None:
            raise StreamClosed
        return self._listener.joined_at

    def _is_lost(self, place: str) -> Generator[bytes, None, bool]:
        """Whether the stream no longer holds all that came after a place, or never held that place."""
        oldest, newest = yield from self._asked(self._service.events.window)
        begin = event_id(place)
        return begin > event_id(newest) or (0, 0) < begin < event_id(oldest)

    def _snapshots(self, selection: Selection) -> Generator[bytes, None, str]:
        place, documents = yield from self._asked(lambda: self._service.snapshots(sorted(selection.job_ids)))
        for document in documents:
            yield snapshot(document, place, named=selection.named)
        return place

    def _replayed(self, place: str, joined_at: str) -> Iterator[bytes]:
        end = event_id(joined_at)
        if event_id(place) > end:  # the hub is behind this client
            self._listener.floor = event_id(place)
        selection = self._listener.selection
        while event_id(place) < end:
            events = yield from self._asked(partial(self._service.events.after, place, limit=_PAGE))
            if not events:
                return
            place = events[-1].id
            frames = [frame for frame in map(Frame, events) if frame.id <= end]
            if chosen := selection.of(frames):
                yield selection.joined(chosen)

    def _asked(self, question: Callable[[], T]) -> Generator[bytes, None, T]:
        """Ask the store, for as long as it takes."""
        told = UNAVAILABLE
        while not self._listener.is_closed:
            try:
                return question()
            except StoreUnavailableError:
                yield told
                told = HEARTBEAT
            gevent.sleep(_PAUSE_S)
        raise StreamClosed
