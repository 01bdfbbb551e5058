"""Tests of inputs from servers that lie: about ranges, versions, lengths, dates, and where they redirect to."""

import os
import random
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tests.receiver import Receiver, answering, receiving
from tests.storage.origins import Answer, Bend, serving
from workplatform.errors import JobError, SourceUnreachableError
from workplatform.storage.source import LocalSource
from workplatform.testing import inline_job

BODY = random.Random(4).randbytes(3_000_000)
OTHER = random.Random(5).randbytes(3_000_000)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A file to serve."""
    file = tmp_path / "film.mp4"
    file.write_bytes(BODY)
    return file


def after_a_break(bend: Bend) -> Bend:
    """Break the first connection in the middle of the file, then bend every answer."""
    return lambda number, answer: replace(answer, sent_bytes=1_000_000) if number == 1 else bend(number, answer)


def test_a_part_of_the_rest_is_not_the_end_of_the_file(film: Path, tmp_path: Path) -> None:
    def bend(_number: int, answer: Answer) -> Answer:
        end = min(answer.start + 500_000, len(BODY))
        return replace(answer, end=end, headers={**answer.headers, "Content-Range": told(answer.start, end, len(BODY))})

    with serving(film, after_a_break(bend)) as origin, inline_job(tmp_path / "job") as run:
        assert run.job.input(origin.url).read_bytes() == BODY
    assert len(origin.ranges) > 3


@pytest.mark.parametrize(
    "headers", [{"ETag": '"two"'}, {"ETag": ""}, {"Content-Range": "bytes 0-9/10"}], ids=["another", "none", "nonsense"]
)
def test_a_rest_that_is_not_of_the_same_version_is_not_appended(
    headers: dict[str, str], film: Path, tmp_path: Path
) -> None:
    def bend(number: int, answer: Answer) -> Answer:
        if number == 2:
            film.write_bytes(OTHER)
        return replace(answer, headers=answer.headers | headers) if answer.status == 206 else answer

    with serving(film, after_a_break(bend)) as origin, inline_job(tmp_path / "job") as run:
        assert run.job.input(origin.url).read_bytes() == OTHER
    assert origin.ranges[2] == ""


def test_a_break_behind_the_last_byte_of_unknown_length_begins_anew(tmp_path: Path) -> None:
    def behave(receiver: Receiver, connection: socket.socket) -> None:
        request = receiver.read(connection)
        if "range" in request.headers:
            connection.sendall(b"HTTP/1.1 416 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        end = b"0\r\n\r\n" if len(receiver.requests) > 1 else b""
        head = b'HTTP/1.1 200 OK\r\nETag: "one"\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n'
        connection.sendall(head + b"5\r\nhello\r\n" + end)

    with receiving(behave) as server, inline_job(tmp_path) as run:
        assert run.job.input(server.url).read_bytes() == b"hello"


@pytest.mark.parametrize(
    "line",
    ["Content-Length: " + "9" * 5000, "Last-Modified: 99999999999 Jan 01 00:00:00 25:61:61 +0000"],
    ids=["length", "date"],
)
@pytest.mark.parametrize("way", ["input", "source"])
def test_headers_beyond_all_measure_are_as_good_as_none(line: str, way: str, tmp_path: Path) -> None:
    def behave(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(f"HTTP/1.1 200 OK\r\nConnection: close\r\n{line}\r\n\r\nhello".encode())

    with receiving(behave) as server, inline_job(tmp_path) as run:
        found = getattr(run.job, way)(server.url)
        assert (found.path if isinstance(found, LocalSource) else found).read_bytes() == b"hello"


@pytest.mark.parametrize("status", ["503 Busy", "429 Slow"])
def test_a_moment_beyond_all_calendars_is_no_retry_after(status: str, tmp_path: Path) -> None:
    never = answering(status, b"", "Retry-After: 99999999999 Jan 01 00:00:00 25:61:61 +0000")
    with receiving(never) as server, pytest.raises(JobError) as caught, inline_job(tmp_path) as run:
        run.job.input(server.url)
    assert caught.value.code == "source_http_5xx"


@pytest.mark.parametrize("location", ["/\xff\xfe", "http://[::1"])
@pytest.mark.parametrize("way", ["input", "source"])
def test_a_redirect_to_what_is_no_url_is_an_error_of_the_job(location: str, way: str, tmp_path: Path) -> None:
    def behave(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n".encode("latin-1"))

    with receiving(behave) as server, pytest.raises(SourceUnreachableError), inline_job(tmp_path) as run:
        getattr(run.job, way)(server.url)


@pytest.mark.parametrize("body_bytes", [0, 1000])
def test_a_redirect_on_a_connection_that_stays_open_is_followed(body_bytes: int, film: Path, tmp_path: Path) -> None:
    def bend(number: int, answer: Answer) -> Answer:
        return Answer(302, 0, body_bytes, {"Location": "/there.mp4"}) if number == 1 else answer

    with serving(film, bend) as origin, inline_job(tmp_path / "job") as run:
        assert run.job.input(origin.url).read_bytes() == BODY
    assert len(origin.ranges) == 2


def test_the_body_of_a_redirect_is_not_read_however_long_it_is(tmp_path: Path) -> None:
    sent = 0

    def behave(receiver: Receiver, connection: socket.socket) -> None:
        nonlocal sent
        if "/there" in receiver.read(connection).line:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            return
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n")
        while not receiver.closing.is_set() and sent < 1 << 30:
            sent += connection.send(bytes(1 << 20))

    with receiving(behave) as server, inline_job(tmp_path) as run:
        assert run.job.input(server.url).read_bytes() == b"hello"
    assert sent < 64 << 20


def test_a_first_look_that_fails_in_passing_is_repeated(film: Path, tmp_path: Path) -> None:
    def bend(number: int, answer: Answer) -> Answer:
        return replace(answer, status=500, end=answer.start) if number == 1 else answer

    with serving(film, bend) as origin, inline_job(tmp_path / "job") as run:
        source = run.job.source(origin.url)
        assert not isinstance(source, LocalSource)
        with source.open() as file:
            file.seek(-5, os.SEEK_END)
            assert file.read() == BODY[-5:]


def told(start: int, end: int, total: int) -> str:
    """A Content-Range."""
    return f"bytes {start}-{end - 1}/{total}"
