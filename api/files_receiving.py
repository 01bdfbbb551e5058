"""The body of an upload on its way to the disk: limited, looked at, never whole in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from gunicorn.http.body import LengthReader

from api.files_pump import Sink, off_the_hub, receive
from api.problems import RequestError
from workplatform.shortage import is_out_of_space

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_BLOCK_BYTES: Final = 1024 * 1024


class ShortBodyError(RequestError):
    """The body ended before its end."""

    def __init__(self, arrived: int) -> None:
        super().__init__(
            HTTPStatus.BAD_REQUEST, f"the body ended early, after {arrived} bytes: send it again", code="short_body"
        )


@dataclass(frozen=True, slots=True)
class Incoming:
    """The body of one request. `length` is what Content-Length says, None of a chunked body."""

    length: int | None
    most: int
    _body: Any = field(repr=False)
    _socket: Any = field(repr=False)

    @classmethod
    def of(cls, environ: "WSGIEnvironment", *, most: int) -> "Incoming":
        """Take the body of a request; raises RequestError (413) if it says that it is longer than `most` bytes."""
        text = environ.get("CONTENT_LENGTH", "")
        length = int(text) if text.isdigit() else None
        if length is None and not environ.get("wsgi.input_terminated"):
            length = 0
        if length is not None and length > most:
            raise too_large(most)
        return cls(length, most, environ["wsgi.input"], environ.get("gunicorn.socket"))

    def into(self, fd: int, look: Callable[[memoryview], None]) -> int:
        """Write the body to a file; returns its length.

        Raises ShortBodyError if it breaks off, then what came is written; RequestError (413, 507).
        """
        sink = Sink(fd, look)
        self._go_ahead()
        try:
            self._move(sink)
        except OSError as error:
            raise write_problem(error) from error
        if self.length is not None and sink.written < self.length:
            raise ShortBodyError(sink.written)
        return sink.written

    def blocks(self) -> Iterator[bytes]:
        """Yield the body in blocks; raises ShortBodyError, RequestError (413)."""
        arrived = 0
        self._go_ahead()
        while block := self._read(_BLOCK_BYTES, arrived):
            arrived += len(block)
            if arrived > self.most:
                raise too_large(self.most)
            yield block
        if self.length is not None and arrived < self.length:
            raise ShortBodyError(arrived)

    def _move(self, sink: Sink) -> None:
        reader = getattr(self._body, "reader", None)
        if self._socket is None or not isinstance(reader, LengthReader):
            for block in self.blocks():
                off_the_hub(sink.write, memoryview(block))
            return
        # past gunicorn's own reading, which copies each byte several times and writes nothing in the meantime
        begun = reader.unreader.take_buffered()
        whole = reader.length
        head, rest = begun[:whole], begun[whole:]
        reader.unreader.unread(rest)
        try:
            off_the_hub(sink.write, memoryview(head))
            receive(self._socket, sink, whole - len(head))
        finally:
            reader.length = whole - sink.written
            self._body.failed = reader.length > 0  # where the next request begins is unknown then

    def _go_ahead(self) -> None:
        if self._socket is not None:
            self._socket.go_ahead()

    def _read(self, size: int, arrived: int) -> bytes:
        try:
            return bytes(self._body.read(size))
        except Exception as error:
            raise ShortBodyError(arrived) from error


def too_large(most: int) -> RequestError:
    """Make the error for a file that is larger than MAX_UPLOAD_BYTES."""
    return RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an upload may have {most} bytes (MAX_UPLOAD_BYTES)")


def write_problem(error: OSError) -> Exception:
    """Return what to raise for a file that cannot be written."""
    if is_out_of_space(error):
        return no_space()
    return error


def no_space() -> RequestError:
    """Make the error for a full disk."""
    return RequestError(
        HTTPStatus.INSUFFICIENT_STORAGE, "there is no space left for this file on the server", code="no_space"
    )
