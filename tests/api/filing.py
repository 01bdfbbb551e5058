"""Asking the files API byte by byte, as clients do that no library would let one be."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path

from tests.api.running import Running


@contextmanager
def connected(api: Running) -> Iterator[socket.socket]:
    """A connection to the API."""
    with socket.create_connection(("127.0.0.1", api.settings.port), timeout=20) as sock:
        yield sock


def head(method: str, path: str, **headers: object) -> bytes:
    """The head of a request; `_` in a header's name is `-`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(sock: socket.socket) -> tuple[int, bytes]:
    """The status and body of what the API answers; takes what follows it too, if that has come already."""
    response = HTTPResponse(sock)
    response.begin()
    return response.status, response.read()


def everything(sock: socket.socket) -> bytes:
    """All that comes until the API closes the connection."""
    with sock.makefile("rb") as stream:
        return stream.read()


def on_disk(api: Running) -> set[str]:
    """Every file in the folder of uploads, those on their way included."""
    folder: Path = api.settings.files_dir
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def on_their_way(api: Running) -> list[Path]:
    """The files that have not arrived yet."""
    folder = api.settings.partial_dir
    return sorted(folder.iterdir()) if folder.is_dir() else []
