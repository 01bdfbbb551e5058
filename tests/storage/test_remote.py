"""Tests of inputs that are fetched from URLs: whole files, from servers that misbehave."""

import os
import random
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.receiver import answering, dripping, receiving, stalling
from tests.storage.origins import Answer, Bend, Origin, serving, without_ranges
from workplatform.context import JobContext
from workplatform.errors import (
    Cancelled,
    JobError,
    PlatformError,
    RetryLater,
    SourceFailedError,
    SourceRefusedError,
    SourceUnreachableError,
    TooLargeError,
    TooSlowError,
    UrlForbiddenError,
)
from workplatform.outbound import Outbound
from workplatform.sockets import no_watch
from workplatform.storage.remote import Patience, fetch
from workplatform.storage.source import LocalSource, RemoteSource
from workplatform.testing import inline_job

BODY = random.Random(4).randbytes(3_000_000)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to serve."""
    file = tmp_path_factory.mktemp("films") / "film.mp4"
    file.write_bytes(BODY)
    return file


def cut_at(*places: int) -> Bend:
    """Break the connection of the first requests after so many bytes."""
    return lambda number, answer: replace(answer, sent_bytes=places[number - 1]) if number <= len(places) else answer


def test_a_file_arrives_whole_with_its_suffix_and_time(film: Path, tmp_path: Path) -> None:
    with serving(film) as origin, inline_job(tmp_path) as run:
        path = run.job.input(origin.url)
        assert path.read_bytes() == BODY
        assert (path.suffix, path.stat().st_mtime) == (".mp4", 1445412480.0)
        assert run.job.input(origin.url) == path
        run.look()
    assert run.told[-1][1:] == ("fetching", "fetched 3.0 of 3.0 MB of a film.mp4")
    assert not path.exists()


def test_a_broken_transfer_goes_on_where_it_broke(film: Path, tmp_path: Path) -> None:
    with serving(film, cut_at(1_000_000, 500_000)) as origin, inline_job(tmp_path) as run:
        assert run.job.input(origin.url).read_bytes() == BODY
    assert origin.ranges[0] == ""
    assert all(asked.startswith("bytes=") for asked in origin.ranges[1:])
    assert origin.sent < 1.2 * len(BODY)


def test_a_file_that_changed_meanwhile_is_fetched_anew(film: Path, tmp_path: Path) -> None:
    def bend(number: int, answer: Answer) -> Answer | None:
        if number == 1:
            return replace(answer, sent_bytes=1_000_000)
        return without_ranges(len(BODY))(number, answer)

    with serving(film, bend) as origin, inline_job(tmp_path) as run:
        assert run.job.input(origin.url).read_bytes() == BODY
    assert len(origin.ranges) == 2


def test_a_short_body_is_an_error_and_not_a_file(film: Path, tmp_path: Path) -> None:
    def bend(_number: int, answer: Answer) -> Answer:
        return replace(answer, sent_bytes=0 if answer.status == 206 else 1000)

    with (
        serving(film, bend) as origin,
        pytest.raises(SourceUnreachableError, match="the connection broke") as caught,
        inline_job(tmp_path) as run,
    ):
        run.job.input(origin.url)
    assert "secret" not in caught.value.message
    assert len(origin.ranges) < 10


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("404 Not Found", SourceRefusedError),
        ("410 Gone", SourceRefusedError),
        ("401 Unauthorized", SourceRefusedError),
        ("408 Request Timeout", SourceFailedError),
        ("500 Oops", SourceFailedError),
        ("503 Busy", SourceFailedError),
    ],
)
@pytest.mark.parametrize("way", ["input", "source"])
def test_a_refusal_says_whether_a_retry_can_help(
    tmp_path: Path, status: str, error: type[PlatformError], way: str
) -> None:
    with receiving(answering(status)) as server, pytest.raises(JobError) as caught, inline_job(tmp_path) as run:
        getattr(run.job, way)(f"{server.url}/a.mp4?key=1")
    assert type(caught.value) is error
    assert caught.value.message == f"{server.url}/a.mp4: the server answered {status}"


def test_a_server_that_says_when_is_asked_then(tmp_path: Path) -> None:
    busy = answering("429 Slow", b"", "Retry-After: 90")
    with receiving(busy) as server, pytest.raises(RetryLater) as caught, inline_job(tmp_path) as run:
        run.job.input(f"{server.url}/a.mp4")
    assert caught.value.data["delay_s"] == 90.0


def test_compressed_answers_are_unpacked(tmp_path: Path) -> None:
    packed = bytes.fromhex("1f8b08000000000000034b4c4a0600c241243503000000")
    with receiving(answering("200 OK", packed, "Content-Encoding: gzip")) as server, inline_job(tmp_path) as run:
        assert run.job.input(f"{server.url}/a.txt").read_bytes() == b"abc"


@pytest.mark.parametrize("says_so", [True, False])
def test_a_file_beyond_the_limit_is_refused(film: Path, tmp_path: Path, says_so: bool) -> None:
    def bend(_number: int, answer: Answer) -> Answer:
        return answer if says_so else replace(answer, headers={"Content-Length": "99999999999"}, sent_bytes=2_000_000)

    outbound = Outbound(allowed_hosts=(), allow_loopback=True)
    target = tmp_path / "a"
    with serving(film, bend) as origin, pytest.raises(TooLargeError, match="larger than 1000000 bytes"):
        fetch(
            origin.url,
            target,
            outbound=outbound,
            watch=no_watch,
            tell=lambda _done, _total: None,
            most_bytes=1_000_000,
        )
    assert not target.exists() or target.stat().st_size <= 1_000_000


def test_a_redirect_to_a_private_address_is_refused(tmp_path: Path) -> None:
    moved = answering("302 Found", b"", "Location: http://10.0.0.1/a.mp4")
    with receiving(moved) as server, pytest.raises(UrlForbiddenError), inline_job(tmp_path) as run:
        run.job.input(f"{server.url}/a.mp4")


def test_redirects_in_a_circle_end(tmp_path: Path) -> None:
    moved = answering("302 Found", b"", "Location: /a.mp4")
    with receiving(moved) as server, pytest.raises(SourceUnreachableError), inline_job(tmp_path) as run:
        run.job.input(f"{server.url}/a.mp4")
    assert len(server.requests) == 31


@pytest.mark.parametrize("way", ["input", "source"])
@pytest.mark.parametrize(
    "behaviour",
    [
        stalling(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nabc"),
        stalling(b""),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-9999/99999\r\nContent-Length: 10000\r\n\r\n", b"x"),
    ],
    ids=["silent", "mute", "trickle", "trickled range"],
)
def test_cancelling_ends_a_fetch_that_hangs(tmp_path: Path, behaviour: object, way: str) -> None:
    with (
        receiving(behaviour) as server,  # type: ignore[arg-type]
        pytest.raises((Cancelled, SourceRefusedError)) as caught,
        inline_job(tmp_path) as run,
    ):
        threading.Thread(target=lambda: server.is_held.wait(20) and run.pulse.stop(Cancelled())).start()
        getattr(run.job, way)(f"{server.url}/a.mp4")
    assert isinstance(caught.value, Cancelled) or "206" in caught.value.message


def test_a_server_that_trickles_is_given_up() -> None:
    patience = Patience(no_watch, limit_s=0)
    with pytest.raises(TooSlowError, match="next to nothing"):
        while True:
            patience.look()


def read_places(job: JobContext, origin: Origin) -> bytes:
    """Read a remote file here and there, as a demuxer does."""
    source = job.source(origin.url)
    assert isinstance(source, RemoteSource)
    with source.open() as file:
        file.seek(-1000, os.SEEK_END)
        end = file.read(1000)
        file.seek(0)
        return end + b"".join(iter(lambda: file.read(50_000), b""))


def test_a_source_is_read_from_anywhere_and_no_byte_twice(film: Path, tmp_path: Path) -> None:
    with serving(film) as origin, inline_job(tmp_path) as run:
        assert read_places(run.job, origin) == BODY[-1000:] + BODY
    assert origin.sent == len(BODY)
    assert len(origin.ranges) < 16


def test_a_source_goes_on_after_broken_answers(film: Path, tmp_path: Path) -> None:
    def bend(number: int, answer: Answer) -> Answer | None:
        return {0: None, 1: replace(answer, sent_bytes=1000)}.get(number % 3, answer)

    with serving(film, bend) as origin, inline_job(tmp_path) as run:
        assert read_places(run.job, origin) == BODY[-1000:] + BODY


def test_a_source_that_changes_between_ranges_is_an_error(film: Path, tmp_path: Path) -> None:
    def bend(number: int, answer: Answer) -> Answer:
        return answer if number < 3 else replace(answer, headers=answer.headers | {"ETag": '"two"'})

    with (
        serving(film, bend) as origin,
        pytest.raises(SourceFailedError, match="changed while it was read"),
        inline_job(tmp_path) as run,
    ):
        read_places(run.job, origin)
    assert len(origin.ranges) == 3


def test_a_server_without_ranges_is_fetched_from_whole(film: Path, tmp_path: Path) -> None:
    with serving(film, without_ranges(len(BODY))) as origin, inline_job(tmp_path) as run:
        source = run.job.source(origin.url)
        assert isinstance(source, LocalSource)
        assert source.path.read_bytes() == BODY


def test_a_server_that_sends_everything_for_a_range_fills_no_memory(film: Path, tmp_path: Path) -> None:
    def bend(_number: int, answer: Answer) -> Answer:
        whole = f"bytes {answer.start}-{len(BODY) - 1}/{len(BODY)}"
        return replace(answer, end=len(BODY), headers=answer.headers | {"Content-Range": whole})

    with serving(film, bend) as origin, inline_job(tmp_path) as run:
        source = run.job.source(origin.url)
        assert isinstance(source, RemoteSource)
        assert len(source.head) == 128 << 10
        with source.open() as file:
            file.seek(1_000_000)
            assert file.read(10) == BODY[1_000_000:1_000_010]
