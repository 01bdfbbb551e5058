"""Origins of files that misbehave as told, byte by byte."""

import random
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.receiver import Behaviour, Receiver, Request
from workers.download import download
from workplatform.testing import run_inline

CONTENT = random.Random(4).randbytes(300_000)
OTHER = random.Random(5).randbytes(300_000)
MODIFIED = "Wed, 21 Oct 2015 07:28:00 GMT"
PAGE = b"<!DOCTYPE html><html><head><title>Just a\n moment...</title></head><body>" + b"x" * 3000


def fetch(root: Path, url: str, name: str = "file.bin", **more: Any) -> dict[str, Any]:
    """Run a download of one file as a worker would."""
    attempts = {key: more.pop(key) for key in ("attempt", "is_tried_again") if key in more}
    return run_inline(download, {"url": url, "outputPath": name, **more}, root=root, **attempts)


def left_over(root: Path) -> list[str]:
    """The files that are there, the platform's own left out."""
    return sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and ".work" not in str(path)
    )


@dataclass(slots=True)
class Origin:
    """A server of one file that knows ranges, until told otherwise.

    `cuts` holds, for one connection after the other, after how many bytes of the body it breaks; None for never.
    """

    content: bytes = CONTENT
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"one"', "Last-Modified": MODIFIED})
    cuts: Iterator[int | None] = field(default_factory=lambda: iter(()))
    knows_ranges: bool = True
    knows_conditions: bool = True
    range_of: Callable[[int, int], str] | None = None
    before: Callable[["Origin", int], None] = lambda _origin, _number: None
    served: int = 0

    def __call__(self, receiver: Receiver, connection: socket.socket) -> None:
        """Serve one connection."""
        request = receiver.read(connection)
        self.before(self, self.served)
        self.served += 1
        status, body, more = self._answer(request)
        head = {"Content-Length": str(len(body)), **self.headers, **more}
        connection.sendall(head_of(status, head))
        connection.sendall(body[: next(self.cuts, None)])

    def _answer(self, request: Request) -> tuple[str, bytes, dict[str, str]]:
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        condition = request.headers.get("if-range")
        is_current = not self.knows_conditions or condition in (
            None,
            self.headers.get("ETag"),
            self.headers.get("Last-Modified"),
        )
        if asked is None or not self.knows_ranges or not is_current:
            return "200 OK", self.content, {}
        start, total = int(asked[1]), len(self.content)
        if start >= total:
            return "416 Range Not Satisfiable", b"", {"Content-Range": f"bytes */{total}"}
        said = self.range_of(start, total) if self.range_of else f"bytes {start}-{total - 1}/{total}"
        return "206 Partial Content", self.content[start:], {"Content-Range": said}


def head_of(status: str, headers: dict[str, str]) -> bytes:
    """The head of an answer."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1")


def sending(head: bytes, body: bytes = b"") -> Behaviour:
    """Read the request and send these very bytes."""

    def behave(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(head + body)

    return behave


def routing(routes: dict[str, Behaviour]) -> Behaviour:
    """Serve each path by its own behaviour; a path that is not there is answered 404."""

    def behave(receiver: Receiver, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            if not (begun := stream.peek()):
                return  # the client went away before it asked
            path = begun.split(b" ", 2)[1].decode()
            route = routes.get(path.partition("?")[0], sending(head_of("404 Not Found", {"Content-Length": "0"})))
            route(receiver, _Peeked(connection, stream))  # type: ignore[arg-type]

    return behave


class _Peeked:
    """A connection whose first bytes are in a stream already."""

    def __init__(self, connection: socket.socket, stream: Any) -> None:
        self._stream = stream
        self.sendall = connection.sendall
        self.send = connection.send

    def makefile(self, _mode: str) -> "_Kept":
        return _Kept(self._stream)


class _Kept:
    """The stream, not to be closed by who reads a request from it."""

    def __init__(self, stream: Any) -> None:
        self.readline = stream.readline
        self.read = stream.read

    def __enter__(self) -> "_Kept":
        return self

    def __exit__(self, *_: object) -> None:
        pass
