"""Moving bytes between sockets and files in threads, so that a big file holds up no other request.

A thread never waits for the network: it moves what can be moved at once, and then the greenlet waits on. What may
block is the disk, and that blocks a thread of this pool only.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar, cast

import gevent.socket
from gevent.threadpool import ThreadPool

T = TypeVar("T")

SILENCE_S: Final = 60.0
_THREADS: Final = 8
_BUFFER_BYTES: Final = 256 * 1024
_SLICE_BYTES: Final = 8 * 1024 * 1024  # after so much the next file has its turn


@cache
def _pool() -> ThreadPool:
    return ThreadPool(_THREADS)


def off_the_hub(function: Callable[..., T], *args: Any) -> T:
    """Call a function that waits for the disk; other requests are served meanwhile."""
    result, error = _pool().apply(_tried, (function, args))
    if error is not None:
        raise error
    return cast("T", result)


def _tried(function: Callable[..., T], args: tuple[Any, ...]) -> tuple[T | None, Exception | None]:
    """Call a function; its error is a result, since gevent would print it as nobody's, a full disk's too."""
    try:
        return function(*args), None
    except Exception as error:  # noqa: BLE001 - raised again by who has called
        return None, error


@dataclass(slots=True)
class Sink:
    """Where bytes go: an open file and everything that looks at them on their way."""

    fd: int
    look: Callable[[memoryview], None]
    written: int = 0

    def write(self, data: memoryview) -> None:
        """Write all of it; raises OSError."""
        rest = data
        while rest:
            rest = rest[os.write(self.fd, rest) :]
        self.look(data)
        self.written += len(data)


def receive(sock: Any, sink: Sink, length: int) -> bool:
    """Move bytes from a socket into a sink; returns whether all of them came. Raises OSError of the sink alone."""
    buffer = memoryview(bytearray(min(_BUFFER_BYTES, length) or 1))
    wanted = sink.written + length
    while sink.written < wanted:
        if not _is_ready(gevent.socket.wait_read, sock):
            return False
        if not off_the_hub(_absorb, sock.fileno(), sink, buffer, wanted):
            return False
    return True


def send(sock: Any, file: Any, *, offset: int, count: int) -> None:
    """Move bytes from a file into a socket; raises ConnectionResetError if not all of them could be moved."""
    end = offset + count
    while offset < end:
        moved = off_the_hub(_emit, sock.fileno(), file.fileno(), offset, end)
        if moved is None:
            raise ConnectionResetError(errno.ECONNRESET, "the file became shorter, or the reader went away")
        offset += moved
        if offset < end and not _is_ready(gevent.socket.wait_write, sock):
            raise ConnectionResetError(errno.ECONNRESET, "the reader reads no more")


def _is_ready(wait: Callable[..., None], sock: Any) -> bool:
    try:
        wait(sock.fileno(), timeout=SILENCE_S)
    except OSError:
        return False
    return True


def _absorb(source: int, sink: Sink, buffer: memoryview, wanted: int) -> bool:
    """Move what has arrived; returns whether more can come."""
    most = min(wanted, sink.written + _SLICE_BYTES)
    while sink.written < most:
        try:
            count = os.readv(source, [buffer[: most - sink.written]])
        except BlockingIOError:
            return True
        except OSError:
            return False
        if count == 0:
            return False
        sink.write(buffer[:count])
    return True


def _emit(target: int, source: int, offset: int, end: int) -> int | None:
    """Move what the socket takes now; returns how much, None if no more can be moved."""
    start, most = offset, min(end, offset + _SLICE_BYTES)
    while offset < most:
        try:
            count = os.sendfile(target, source, offset, most - offset)
        except BlockingIOError:
            break
        except OSError:
            return None
        if count == 0:
            return None
        offset += count
    return offset - start
