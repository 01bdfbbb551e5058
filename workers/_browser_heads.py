"""The heads of HTTP/1.1 messages as a forward proxy reads and rewrites them (RFC 9112)."""

import re
import socket
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from workplatform.errors import UrlForbiddenError
from workplatform.urls import http_url

_LONGEST_HEAD_BYTES: Final = 256 * 1024
_CHUNK_BYTES: Final = 65536
_END: Final = b"\r\n\r\n"
_HOP: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"upgrade"})
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:/@]+):(\d{1,5})")


class BadHeadError(Exception):
    """The head of a message cannot be read."""


def read_head(sock: socket.socket) -> tuple[bytes, bytes]:
    """Read up to the end of a head; return it and what came after it. Raises BadHeadError, OSError."""
    data = b""
    while _END not in data:
        if len(data) > _LONGEST_HEAD_BYTES:
            raise BadHeadError("the head of the request is too long")
        more = sock.recv(_CHUNK_BYTES)
        if not more:
            raise ConnectionResetError("the connection ended within a head")
        data += more
    head, _, rest = data.partition(_END)
    return head, rest


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request to a proxy: where it wants to go, and the head that goes there."""

    host: str
    port: int
    is_tunnel: bool
    body_bytes: int
    line: bytes
    fields: tuple[bytes, ...]

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """Read a head; raises BadHeadError."""
        line, *fields = head.split(b"\r\n")
        words = line.decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise BadHeadError("this is no request to a proxy")
        method, target, _ = words
        if method == "CONNECT":
            host, port = _authority(target)
            return cls(host, port, True, 0, line, ())
        try:
            url = http_url(target)
        except UrlForbiddenError as error:
            raise BadHeadError(error.message) from error
        if url.scheme != "http":
            raise BadHeadError("https goes through CONNECT")
        path = urlsplit(target)._replace(scheme="", netloc="", fragment="").geturl() or "/"
        own = f"{method} {path if path.startswith('/') else f'/{path}'} HTTP/1.1".encode("latin-1")
        return cls((url.host or "").strip("[]"), url.port or 80, False, _body_bytes(fields), own, tuple(fields))

    def for_the_server(self) -> bytes:
        """Return the head as the server gets it: for one request, after which the connection closes."""
        kept = [field for field in self.fields if _name(field) not in _HOP]
        return b"\r\n".join([self.line, *kept, b"Connection: close"]) + _END


def closing(data: bytes) -> tuple[bytes, bytes, bool] | None:
    """Make the first head in `data` say that the connection closes.

    Returns what may be passed on, what is left, and whether that was the last head (an interim one, 1xx, is followed by
    another); None while the head is not whole. What is no head is passed on as it is.
    """
    if not data.startswith(b"HTTP/1."[: len(data)]) or len(data) > _LONGEST_HEAD_BYTES:
        return data, b"", True
    head, end, rest = data.partition(_END)
    if not end:
        return None
    line, *fields = head.split(b"\r\n")
    if re.match(rb"HTTP/1\.\d 1\d\d", line):
        return head + end, rest, False
    kept = [field for field in fields if _name(field) not in _HOP]
    return b"\r\n".join([line, *kept, b"Connection: close"]) + end, rest, True


def _authority(target: str) -> tuple[str, int]:
    found = _AUTHORITY.fullmatch(target)
    if found is None or int(found[2]) > 65535:
        raise BadHeadError("CONNECT needs host:port")
    return found[1].strip("[]"), int(found[2])


def _body_bytes(fields: list[bytes]) -> int:
    named = {_name(field): field.partition(b":")[2].strip() for field in fields}
    if b"transfer-encoding" in named:
        raise BadHeadError("a body of unknown length is not passed on")
    length = named.get(b"content-length", b"0")
    if not length.isdigit():
        raise BadHeadError("the length of the body is no number")
    return int(length)


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip().lower()
