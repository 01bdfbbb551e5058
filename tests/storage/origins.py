"""A web server that gives a file by ranges, counts what it sends, and lies or breaks as told."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_BLOCK = 64 << 10


@dataclass(slots=True)
class Answer:
    """How to answer a request: every field may be bent."""

    status: int
    start: int
    end: int
    headers: dict[str, str]
    sent_bytes: int | None = None
    is_stalled: bool = False


Bend = Callable[[int, Answer], Answer | None]


@dataclass(slots=True)
class Origin:
    """The server's side: what was asked, how much was sent."""

    file: Path
    bend: Bend
    url: str = ""
    etag: str = '"one"'
    ranges: list[str] = field(default_factory=list)
    sent: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    is_held: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


def straight(_number: int, answer: Answer) -> Answer:
    """Answer as a good server does."""
    return answer


def without_ranges(origin_size: int) -> Bend:
    """Ignore Range, as many simple servers do."""

    def bend(_number: int, answer: Answer) -> Answer:
        headers = {name: value for name, value in answer.headers.items() if name != "Content-Range"}
        return Answer(200, 0, origin_size, headers)

    return bend


@contextmanager
def serving(file: Path, bend: Bend = straight) -> Iterator[Origin]:
    """Serve a file; `bend` gets the number of the request, from 1, and the honest answer. None drops the connection."""
    origin = Origin(file, bend)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with suppress(OSError):
                _answer(origin, self)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    origin.url = f"http://127.0.0.1:{server.server_address[1]}/films/a%20film.mp4?signature=secret"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield origin
    finally:
        origin.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _honest(origin: Origin, asked: str) -> Answer:
    size = origin.file.stat().st_size
    headers = {"ETag": origin.etag, "Accept-Ranges": "bytes", "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
    if found is None or int(found[1]) >= size:
        return Answer(200 if found is None else 416, 0, size if found is None else 0, headers)
    start, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
    return Answer(206, start, end, headers | {"Content-Range": f"bytes {start}-{end - 1}/{size}"})


def _answer(origin: Origin, handler: BaseHTTPRequestHandler) -> None:
    asked = handler.headers.get("Range", "")
    with origin.lock:
        origin.ranges.append(asked)
        number = len(origin.ranges)
    answer = origin.bend(number, _honest(origin, asked))
    if answer is None:
        handler.close_connection = True
        return
    handler.send_response(answer.status)
    for name, value in ({"Content-Length": str(answer.end - answer.start)} | answer.headers).items():
        handler.send_header(name, value)
    handler.end_headers()
    left = answer.end - answer.start if answer.sent_bytes is None else answer.sent_bytes
    handler.close_connection = answer.sent_bytes is not None
    _send(origin, handler, answer.start, left)
    if answer.is_stalled:
        origin.is_held.set()
        origin.closing.wait()


def _send(origin: Origin, handler: BaseHTTPRequestHandler, start: int, left: int) -> None:
    with origin.file.open("rb") as file:
        while left > 0:
            block = os.pread(file.fileno(), min(_BLOCK, left), start)
            handler.wfile.write(block)
            start, left = start + len(block), left - len(block)
            with origin.lock:
                origin.sent += len(block)
