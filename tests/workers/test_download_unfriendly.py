"""The download job type against origins that cut, lie, change, trickle and flood."""

import gzip
import hashlib
import json
import random
import socket
import threading
from collections.abc import Iterator
from itertools import count, repeat
from pathlib import Path

import pytest

from tests.receiver import Receiver, dripping, receiving, stalling
from tests.waiting import eventually
from tests.workers._origins import CONTENT, OTHER, PAGE, Origin, fetch, head_of, left_over, sending
from workers._download_models import DownloadPayload
from workers._pace import Pace
from workers.download import download
from workplatform.errors import (
    Cancelled,
    ChecksumError,
    JobError,
    NoSpaceError,
    SourceFailedError,
    SourceUnreachableError,
    TooSlowError,
    UnexpectedContentError,
)
from workplatform.testing import inline_job

RNG = random.Random(11)
NO_VERSION: dict[str, str] = {}
WEAK = {"ETag": 'W/"one"'}


def after(*cuts: int) -> Iterator[int | None]:
    """Break the first connections after so many bytes, and no further one."""
    yield from cuts
    yield from repeat(None)


def arrives(origin: Origin, root: Path, content: bytes = CONTENT) -> Receiver:
    """Download, require the content, and return the receiver with its requests."""
    with receiving(origin) as receiver:
        fetch(root, receiver.url)
    assert (root / "file.bin").read_bytes() == content
    assert left_over(root) == ["file.bin"]
    return receiver


@pytest.mark.parametrize("headers", [{"ETag": '"one"'}, {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}])
def test_a_connection_cut_at_random_bytes_is_resumed_at_the_very_byte(headers: dict[str, str], tmp_path: Path) -> None:
    cuts = [RNG.randrange(1000, 70_000) for _ in range(4)]
    receiver = arrives(Origin(headers=headers, cuts=after(*cuts)), tmp_path)
    ranges = [request.headers.get("range") for request in receiver.requests]
    assert ranges == [None, *(f"bytes={sum(cuts[:n])}-" for n in range(1, 5))]
    assert receiver.requests[1].headers["if-range"] in headers.values()


@pytest.mark.parametrize("headers", [NO_VERSION, WEAK])
def test_without_a_version_what_is_there_is_compared(headers: dict[str, str], tmp_path: Path) -> None:
    receiver = arrives(Origin(headers=headers, cuts=after(100_000, 50_000)), tmp_path)
    assert receiver.requests[1].headers["range"] == f"bytes={100_000 - 4096}-"
    assert "if-range" not in receiver.requests[1].headers


@pytest.mark.parametrize("headers", [NO_VERSION, {"ETag": '"one"'}])
def test_a_file_that_changes_between_ranges_is_begun_anew(headers: dict[str, str], tmp_path: Path) -> None:
    def change(origin: Origin, number: int) -> None:
        if number == 1:
            origin.content = OTHER
            origin.headers = dict.fromkeys(headers, '"two"')

    arrives(Origin(headers=headers, cuts=after(100_000), before=change), tmp_path, OTHER)


def test_a_file_that_shrinks_below_what_is_there_is_begun_anew(tmp_path: Path) -> None:
    def shrink(origin: Origin, number: int) -> None:
        if number == 1:
            origin.content = CONTENT[:50_000]

    arrives(Origin(headers=NO_VERSION, cuts=after(100_000), before=shrink), tmp_path, CONTENT[:50_000])


def test_a_server_that_ignores_ranges_gets_another_chance_from_the_start(tmp_path: Path) -> None:
    receiver = arrives(Origin(knows_ranges=False, cuts=after(100_000, 200_000)), tmp_path)
    assert receiver.connections == 3


LIES = {
    "another place": lambda start, total: f"bytes {start - 1}-{total - 2}/{total}",
    "the beginning": lambda _start, total: f"bytes 0-{total - 1}/{total}",
    "another length": lambda start, total: f"bytes {start}-{total + 5}/{total + 6}",
    "beyond the end": lambda start, total: f"bytes {start}-{total}/{total}",
    "backwards": lambda start, total: f"bytes {start}-{start - 1}/{total}",
    "nothing of the kind": lambda _start, _total: "pages 1-2/3",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_range_that_lies_is_not_believed(lie: object, tmp_path: Path) -> None:
    receiver = arrives(Origin(cuts=after(100_000), range_of=lie), tmp_path)  # type: ignore[arg-type]
    assert [request.headers.get("range") for request in receiver.requests] == [None, "bytes=100000-", None]


def test_a_range_without_a_total_is_enough(tmp_path: Path) -> None:
    arrives(Origin(cuts=after(100_000), range_of=lambda start, total: f"bytes {start}-{total - 1}/*"), tmp_path)


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_body_that_is_always_short_is_an_error_not_a_file(knows_ranges: bool, tmp_path: Path) -> None:
    origin = Origin(knows_ranges=knows_ranges, cuts=(100_000 if n == 0 or not knows_ranges else 0 for n in count()))
    with receiving(origin) as receiver, pytest.raises(SourceUnreachableError, match="bytes to come"):
        fetch(tmp_path, receiver.url)
    assert left_over(tmp_path) == []


def test_a_body_longer_than_its_length_is_an_error_not_a_file(tmp_path: Path) -> None:
    head = head_of("200 OK", {"Content-Length": "1000"})
    with (
        receiving(sending(head, CONTENT[:5000])) as receiver,
        pytest.raises(UnexpectedContentError, match="more bytes"),
    ):
        fetch(tmp_path, receiver.url)
    assert left_over(tmp_path) == []


def test_two_lengths_in_one_answer_are_an_error(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"
    with (
        receiving(sending(head, b"hello!")) as receiver,
        pytest.raises(UnexpectedContentError, match="contradicts itself"),
    ):
        fetch(tmp_path, receiver.url)


@pytest.mark.parametrize("body", [b"5\r\nhello\r\n", b"5\r\nhello\r\n1000\r\nhel", b"no chunk"])
def test_chunks_that_end_too_early_or_are_none_are_an_error(body: bytes, tmp_path: Path) -> None:
    head = head_of("200 OK", {"Transfer-Encoding": "chunked"})
    with receiving(sending(head, body)) as receiver, pytest.raises(SourceUnreachableError):
        fetch(tmp_path, receiver.url)
    assert left_over(tmp_path) == []


def test_an_encoded_body_that_ends_too_early_or_is_damaged_is_an_error(tmp_path: Path) -> None:
    coded = gzip.compress(b"".join(b"line %d\n" % number for number in range(50_000)))
    for body, kind in ((coded[:-20], SourceUnreachableError), (coded[:50] + b"?" * 1000, UnexpectedContentError)):
        head = head_of("200 OK", {"Content-Encoding": "gzip", "Content-Length": str(len(body))})
        with receiving(sending(head, body)) as receiver, pytest.raises(kind):
            fetch(tmp_path, receiver.url)
    assert left_over(tmp_path) == []


def test_a_bomb_is_measured_unpacked(tmp_path: Path) -> None:
    coded = gzip.compress(bytes(50_000_000))
    head = head_of("200 OK", {"Content-Encoding": "gzip", "Content-Length": str(len(coded))})
    with receiving(sending(head, coded)) as receiver, pytest.raises(JobError) as failure:
        fetch(tmp_path, receiver.url, maxBytes=1_000_000)
    assert failure.value.code == "too_large"


def test_a_file_larger_than_the_disk_is_refused_before_it_comes(tmp_path: Path) -> None:
    endless = stalling(head_of("200 OK", {"Content-Length": str(10**17)}) + CONTENT[:1000])
    with receiving(endless) as receiver, pytest.raises(NoSpaceError, match="100000000000000000 bytes"):
        fetch(tmp_path, receiver.url)


def test_a_server_that_never_stops_is_stopped_by_the_limit(tmp_path: Path) -> None:
    def flood(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(head_of("200 OK", {"Content-Type": "video/mp4"}))
        while not receiver.closing.is_set():
            connection.sendall(CONTENT)

    with receiving(flood) as receiver, pytest.raises(JobError) as failure:
        fetch(tmp_path, receiver.url, maxBytes=5_000_000)
    assert failure.value.code == "too_large"
    assert left_over(tmp_path) == []


HOLDS = {
    "never answers": stalling(b""),
    "drips a header": dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    "drips its first bytes": dripping(head_of("200 OK", {"Content-Length": "1000000"}), b"b"),
    "stalls in the middle": stalling(head_of("200 OK", {"Content-Length": "1000000"}) + CONTENT[:1000]),
    "drips a refusal": dripping(head_of("403 No", {"Content-Type": "text/html", "Content-Length": "99999"}), b"c"),
}


@pytest.mark.parametrize("behave", HOLDS.values(), ids=HOLDS.keys())
def test_cancelling_ends_the_wait_for_an_origin_that(behave: object, tmp_path: Path) -> None:
    with receiving(behave) as receiver, inline_job(tmp_path) as run:  # type: ignore[arg-type]

        def stop() -> None:
            eventually(receiver.is_held.is_set)
            run.pulse.stop(Cancelled())

        stopper = threading.Thread(target=stop)
        stopper.start()
        with pytest.raises(Cancelled):
            download(DownloadPayload(url=receiver.url, output_path="x"), run.job)
        stopper.join()


def test_a_pace_below_the_least_is_too_slow_after_a_full_window() -> None:
    now = [0.0]
    pace = Pace(least=1000, clock=lambda: now[0])
    pace.total = 1_000_000
    for _ in range(30):
        now[0] += 1.0
        pace.count(2000)
    assert (pace.per_second, pace.sentence()) == (2000.0, "0 bytes of 1.0 MB, 2.0 kB/s, 8 min 20 s left")
    with pytest.raises(TooSlowError, match=r"less than the 1\.0 kB/s"):
        for _ in range(16):
            now[0] += 1.0
            pace.count(10)


def test_a_short_silence_is_not_too_slow_and_an_unknown_length_shows_bytes() -> None:
    now = [0.0]
    pace = Pace(least=1000, clock=lambda: now[0])
    for _ in range(20):
        now[0] += 1.0
        pace.count(100_000)
    now[0] += 10.0
    pace.count(0)
    pace.have = 2_000_000
    assert pace.sentence().startswith("2.0 MB, ")
    assert pace.percent == 0.0


def test_a_retry_of_the_job_resumes_what_the_attempt_before_has_left(tmp_path: Path) -> None:
    origin = Origin(cuts=after(200_000, 0, 0, 0))
    with receiving(origin) as receiver:
        with pytest.raises(SourceUnreachableError):
            fetch(tmp_path, receiver.url, is_tried_again=True)
        result = fetch(tmp_path, receiver.url, attempt=2)
    assert result["resumedBytes"] == 200_000
    assert receiver.requests[-1].headers["range"] == "bytes=200000-"
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert left_over(tmp_path) == ["file.bin"]


def test_a_retry_into_a_folder_resumes_too(tmp_path: Path) -> None:
    with receiving(Origin(cuts=after(200_000, 0, 0, 0))) as receiver:
        with pytest.raises(SourceUnreachableError):
            fetch(tmp_path, f"{receiver.url}/a.bin", "folder/", is_tried_again=True)
        assert fetch(tmp_path, f"{receiver.url}/a.bin", "folder/", attempt=2)["resumedBytes"] == 200_000
    assert (tmp_path / "folder/a.bin").read_bytes() == CONTENT


def test_a_retry_begins_anew_where_the_file_or_the_url_is_another(tmp_path: Path) -> None:
    def change(origin: Origin, number: int) -> None:
        if number == 4:
            origin.content, origin.headers = OTHER, {"ETag": '"two"'}

    with receiving(Origin(cuts=after(200_000, 0, 0, 0), before=change)) as receiver:
        with pytest.raises(SourceUnreachableError):
            fetch(tmp_path, receiver.url, is_tried_again=True)
        fetch(tmp_path, receiver.url, attempt=2)
    assert (tmp_path / "file.bin").read_bytes() == OTHER
    with receiving(Origin(cuts=after(200_000, 0, 0, 0))) as receiver:
        with pytest.raises(SourceUnreachableError):
            fetch(tmp_path, f"{receiver.url}/a", attempt=3, is_tried_again=True)
        assert fetch(tmp_path, f"{receiver.url}/b", attempt=4)["resumedBytes"] == 0


def test_a_resumed_file_has_its_checksum_over_all_of_it(tmp_path: Path) -> None:
    wrong = "0" * 64
    with receiving(Origin(cuts=after(200_000, 0, 0, 0))) as receiver:
        with pytest.raises(SourceUnreachableError):
            fetch(tmp_path, receiver.url, sha256=wrong, is_tried_again=True)
        with pytest.raises(ChecksumError, match=hashlib.sha256(CONTENT).hexdigest()):
            fetch(tmp_path, receiver.url, sha256=wrong, attempt=2, is_tried_again=True)
        with pytest.raises(ChecksumError):
            fetch(tmp_path, receiver.url, sha256=wrong, attempt=3)
    assert "range" not in receiver.requests[-1].headers, "a file with the wrong checksum is not gone on with"


def test_a_refusal_does_not_cost_what_an_earlier_attempt_has_left(tmp_path: Path) -> None:
    def refuse(origin: Origin, number: int) -> None:
        origin.knows_ranges = number != 4
        origin.content = PAGE if number == 4 else CONTENT
        origin.headers = {"Content-Type": "text/html"} if number == 4 else {"ETag": '"one"'}

    with receiving(Origin(cuts=after(200_000, 0, 0, 0), before=refuse)) as receiver:
        with pytest.raises(SourceUnreachableError):
            fetch(tmp_path, receiver.url, "v.mp4", is_tried_again=True)
        with pytest.raises(UnexpectedContentError):
            fetch(tmp_path, receiver.url, "v.mp4", attempt=2, is_tried_again=True)
        assert fetch(tmp_path, receiver.url, "v.mp4", attempt=3)["resumedBytes"] == 200_000


def test_a_failure_of_the_server_in_the_middle_leaves_the_beginning_for_the_retry(tmp_path: Path) -> None:
    def broken(receiver: Receiver, connection: socket.socket) -> None:
        if receiver.connections == 2:
            sending(head_of("502 Bad Gateway", {"Content-Length": "0"}))(receiver, connection)
        else:
            origin(receiver, connection)

    origin = Origin(cuts=after(200_000))
    with receiving(broken) as receiver:
        with pytest.raises(SourceFailedError):
            fetch(tmp_path, receiver.url, is_tried_again=True)
        assert fetch(tmp_path, receiver.url, attempt=2)["resumedBytes"] == 200_000


def test_a_note_that_is_torn_or_foreign_is_no_reason_to_resume(tmp_path: Path) -> None:
    for attempt, note in enumerate(("", "{", '{"url": 3}', json.dumps({"url": "x", "etag": "y"})), start=1):
        with inline_job(tmp_path, attempt=attempt, is_tried_again=True) as run, pytest.raises(Cancelled):
            output = run.job.output("file.bin", resume=True)
            output.path.write_bytes(b"rubbish")
            output.note.write_text(note)
            raise Cancelled
    arrives(Origin(), tmp_path)
