"""Frames: events as bytes of a stream, encoded once however many clients get them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from flask_sse import Message as SseMessage

from workplatform.states import Event
from workplatform.store.records import StoredEvent
from workplatform.wire import event_document

EventId = tuple[int, int]

RETRY_MS: Final = 3000
# A Redis stream id as ours are: ASCII digits, and few enough that Redis, which counts to 2^64, takes them all.
STREAM_ID: Final = re.compile(r"([0-9]{1,15})(?:-([0-9]{1,15}))?")
_DROPPABLE = frozenset({Event.PROGRESS.value, Event.LOG.value})


class Message(SseMessage):
    """flask_sse's message, for data that is JSON already.

    The original splits the data into lines wherever Unicode knows a line end (U+2028, U+0085, ...). Those may stand in
    a JSON text, and a client would put them together again as line feeds, which may not.
    """

    def encode(self) -> bytes:
        """Return the message as it stands on the wire (WHATWG HTML, section 9.2)."""
        fields = (("event", self.type), ("id", self.id), ("retry", self.retry), ("data", self.data))
        return ("".join(f"{name}: {value}\n" for name, value in fields if value is not None) + "\n").encode()


class Frame:
    """One event, in both spellings, each made when it is first wanted."""

    __slots__ = ("_named", "_unnamed", "event", "id")

    def __init__(self, event: StoredEvent) -> None:
        self.event = event
        self.id = event_id(event.id)
        self._named = b""
        self._unnamed = b""

    @property
    def place(self) -> tuple[str, str]:
        """What of a slow client's backlog this frame replaces: a job's progress so far, else nothing."""
        if self.event.event == Event.PROGRESS:
            return Event.PROGRESS, self.event.job_id
        return self.event.event, self.event.id

    @property
    def is_droppable(self) -> bool:
        """Whether a slow client can do without."""
        return self.event.event in _DROPPABLE

    def encoded(self, *, named: bool) -> bytes:
        """Return the bytes; `named` sets the `event:` field, which takes it away from a plain onmessage."""
        if named:
            self._named = self._named or self._encode(self.event.event)
            return self._named
        self._unnamed = self._unnamed or self._encode(None)
        return self._unnamed

    def _encode(self, name: str | None) -> bytes:
        data = orjson.dumps(event_document(self.event)).decode()
        return bytes(Message(data, type=name, id=self.event.id).encode())


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events a client wants and how they are spelled; clients with the same one share the work.

    Empty sets mean all. `chunked` says whether the connection frames its body so (RFC 9112, section 7.1).
    """

    job_ids: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    named: bool = False
    chunked: bool = False

    def of(self, frames: Iterable[Frame]) -> Sequence[Frame]:
        """Return the frames that are wanted."""
        return [
            frame
            for frame in frames
            if (not self.job_ids or frame.event.job_id in self.job_ids)
            and (not self.types or frame.event.type in self.types)
        ]

    def joined(self, frames: Iterable[Frame]) -> bytes:
        """Return the events one after the other."""
        return b"".join([frame.encoded(named=self.named) for frame in frames])

    def on_wire(self, data: bytes) -> bytes:
        """Return data as it goes over this kind of connection."""
        return b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data


def event_id(text: str) -> EventId:
    """Parse a stream id; raises ValueError."""
    parts = STREAM_ID.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is not a stream id")
    return int(parts[1]), int(parts[2] or 0)


def notice(name: str, text: str) -> bytes:
    """Make an event about the stream itself: always named, so that a plain onmessage does not see it."""
    document = {"event": name, "message": text}
    return bytes(Message(orjson.dumps(document).decode(), type=name).encode())


def snapshot(document: Mapping[str, Any], at: str, *, named: bool) -> bytes:
    """Make the event that tells how a job stands at a place of the stream."""
    name = "job:snapshot"
    told = {"event": name, **{field: value for field, value in document.items() if field != "payload"}}
    return bytes(Message(orjson.dumps(told).decode(), type=name if named else None, id=at).encode())
