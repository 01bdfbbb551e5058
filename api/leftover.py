"""The body of a request that was answered before it was read, such as a file that is too large.

Closing the connection at once would reset it, and the client could lose the answer that tells it why.
"""

import socket
import time
from contextlib import suppress
from typing import Any, Final

from gunicorn.http.body import LengthReader

_SMALL_BYTES: Final = 64 * 1024
_LONGEST_S: Final = 10.0
_SILENCE_S: Final = 2.0


def is_large(body: Any) -> bool:
    """Whether so much of a body is unread that the connection is better given up; a little gunicorn reads itself."""
    reader = body.reader
    if isinstance(reader, LengthReader):
        return bool(reader.length > _SMALL_BYTES)
    return getattr(reader, "parser", None) is not None  # chunked, and its end has not been seen


def drain(sock: Any) -> None:
    """Say that no more will be sent, and throw away what the client sends, for a few seconds at most."""
    deadline = time.monotonic() + _LONGEST_S
    buffer = bytearray(_SMALL_BYTES)
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(min(left, _SILENCE_S))
            if not sock.recv_into(buffer):
                return
