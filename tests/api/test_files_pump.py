"""Big files beside other requests, and what a socket or a disk may do meanwhile."""

import os
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import gevent.socket
import psutil
import pytest
import requests

from api import files_pump
from api.files_pump import Sink, receive, send
from api.files_receiving import Incoming
from api.problems import RequestError
from tests.api.filing import answer, connected, head
from tests.api.running import Running
from tests.waiting import eventually

MEGABYTE = 1_000_000
LARGE = 300 * MEGABYTE
Pair = tuple[Any, Any]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of a connection."""
    ours, theirs = gevent.socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_memory_stays_as_it_is_while_much_is_sent_and_fetched(api: Running) -> None:
    url = f"{api.url}/api/files/large.bin"
    requests.put(url, data=os.urandom(20 * MEGABYTE), timeout=30)
    requests.get(url, timeout=30)
    worker = psutil.Process(api.process.pid).children()[0]
    before, highest, over = worker.memory_info().rss, [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            highest[0] = max(highest[0], worker.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    blocks = (bytes(MEGABYTE) for _ in range(LARGE // MEGABYTE))
    with connected(api) as sock:
        sock.sendall(head("PUT", "/api/files/large.bin", Content_Length=LARGE))
        for block in blocks:
            sock.sendall(block)
        assert answer(sock)[0] == HTTPStatus.OK
    chunked = requests.put(url, data=(bytes(MEGABYTE) for _ in range(100)), timeout=60)
    form = requests.post(f"{api.url}/api/files", files={"f": ("form.bin", bytes(100 * MEGABYTE))}, timeout=60)
    assert (chunked.json()["size"], form.json()["files"][0]["size"]) == (100 * MEGABYTE, 100 * MEGABYTE)
    with requests.get(f"{api.url}/api/files/form.bin", stream=True, timeout=60) as response:
        assert sum(map(len, response.iter_content(MEGABYTE))) == 100 * MEGABYTE
    over.set()
    watcher.join()
    assert highest[0] - before < 24 * MEGABYTE


def test_readers_who_do_not_read_hold_up_nobody(api: Running) -> None:
    """There are more of them than threads that move files."""
    url = f"{api.url}/api/files/wanted.bin"
    assert requests.put(url, data=bytes(20 * MEGABYTE), timeout=30).ok
    idle = [requests.get(url, stream=True, timeout=30) for _ in range(12)]
    begun = [requests.put(url, data=iter([b"x"]), timeout=30, stream=True) for _ in range(2)]
    assert all(response.ok for response in (*idle, *begun))
    assert requests.put(f"{url}2", data=bytes(MEGABYTE), timeout=10).ok
    assert len(requests.get(f"{url}2", timeout=10).content) == MEGABYTE
    for response in (*idle, *begun):
        response.close()
    worker = psutil.Process(api.process.pid).children()[0]
    eventually(lambda: not [file for file in worker.open_files() if "/files/" in file.path])


def test_a_sender_who_goes_silent_is_given_up(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_pump, "SILENCE_S", 0.05)
    ours, theirs = pair
    theirs.sendall(b"some")
    with (tmp_path / "file").open("wb") as file:
        sink = Sink(file.fileno(), lambda _: None)
        assert not receive(ours, sink, 1000)
    assert sink.written == 4
    assert (tmp_path / "file").read_bytes() == b"some"


def test_a_reader_who_goes_silent_is_given_up(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_pump, "SILENCE_S", 0.05)
    (tmp_path / "file").write_bytes(bytes(10 * MEGABYTE))
    with (tmp_path / "file").open("rb") as file, pytest.raises(ConnectionResetError):
        send(pair[0], file, offset=0, count=10 * MEGABYTE)


def test_a_disk_that_is_full_is_507() -> None:
    environ = {"CONTENT_LENGTH": "5", "wsgi.input": _Body(b"hello")}
    incoming = Incoming.of(environ, most=100)
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(RequestError) as caught:
            incoming.into(fd, lambda _: None)
    finally:
        os.close(fd)
    assert (caught.value.status, caught.value.problem_code) == (HTTPStatus.INSUFFICIENT_STORAGE, "no_space")


class _Body:
    """A body that a server has read already."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size: int) -> bytes:
        taken, self._content = self._content[:size], self._content[size:]
        return taken
