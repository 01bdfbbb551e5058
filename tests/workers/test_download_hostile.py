"""Tests of downloads from servers that mean harm: what would hold the worker, mix versions or end in a traceback."""

import gzip
import socket
import time
from pathlib import Path

import pytest

from tests.receiver import Receiver, dripping, receiving
from tests.workers._origins import CONTENT, OTHER, Origin, fetch, head_of, left_over, routing, sending
from workers import _transfer
from workers._answers import http_date, retry_after_s
from workers._pages import HEAD_BYTES, needs_more, page_title
from workplatform.errors import (
    SourceUnreachableError,
    UnexpectedContentError,
    UrlForbiddenError,
)


def cut_once(at: int) -> "list[int | None]":
    """Break the first connection after so many bytes, and none of the next few."""
    return [at, *[None] * 20]


@pytest.mark.parametrize("drop", [b"<!---->", b"<!--", b"<title", b"<title ", b"<html ", b" "])
def test_no_beginning_of_a_page_takes_more_than_a_moment_to_look_at(drop: bytes) -> None:
    head = drop * (HEAD_BYTES // len(drop))
    begun = time.process_time()
    needs_more(head + b"x")
    page_title(head)
    assert time.process_time() - begun < 5, "quadratic and worse take minutes to centuries"


def test_comments_before_a_page_do_not_hide_it(tmp_path: Path) -> None:
    page = b"<!-- a --> <!-- b -->\n<!DOCTYPE html><title>Sign in</title>" + b"<!---->" * 5000
    head = head_of("200 OK", {"Content-Length": str(len(page))})
    with receiving(sending(head, page)) as receiver, pytest.raises(UnexpectedContentError, match="'Sign in'"):
        fetch(tmp_path, receiver.url, "film.mp4")


def test_a_range_without_a_total_does_not_end_a_file_whose_length_is_known(tmp_path: Path) -> None:
    def a_third(receiver: Receiver, connection: socket.socket) -> None:
        asked = receiver.read(connection).headers.get("range")
        if asked is None:
            connection.sendall(head_of("200 OK", {"Content-Length": "300000", "ETag": '"one"'}) + CONTENT[:100_000])
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        part = CONTENT[start : start + 100_000]
        told = f"bytes {start}-{start + len(part) - 1}/*"
        head = head_of("206 Partial", {"Content-Length": str(len(part)), "Content-Range": told, "ETag": '"one"'})
        connection.sendall(head + part)

    with receiving(a_third) as receiver:
        fetch(tmp_path, receiver.url)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert receiver.connections == 3


def test_a_range_that_does_not_say_its_version_is_compared_with_what_is_there(tmp_path: Path) -> None:
    def change(origin: Origin, number: int) -> None:
        if number == 1:  # of another version, whatever If-Range says, and without a word about it
            origin.content, origin.knows_conditions, origin.headers = OTHER, False, {}

    origin = Origin(cuts=iter(cut_once(100_000)), before=change)
    with receiving(origin) as receiver:
        fetch(tmp_path, receiver.url)
    assert (tmp_path / "file.bin").read_bytes() == OTHER
    assert [request.headers.get("range") for request in receiver.requests] == [
        None,
        "bytes=100000-",
        f"bytes={100_000 - 4096}-",
        None,
    ]


def test_a_range_that_does_not_say_its_version_is_taken_if_it_fits(tmp_path: Path) -> None:
    def forget(origin: Origin, number: int) -> None:
        if number == 1:
            origin.knows_conditions, origin.headers = False, {}

    with receiving(Origin(cuts=iter(cut_once(100_000)), before=forget)) as receiver:
        fetch(tmp_path, receiver.url)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert receiver.connections == 3


@pytest.mark.parametrize("location", ["/\xff\xfe", "http://[::1", "http://a:99999999/"])
def test_a_redirect_to_what_is_no_url_is_a_refusal_and_no_traceback(location: str, tmp_path: Path) -> None:
    moved = head_of("302 Found", {"Location": location, "Content-Length": "0"})
    routes = {"/file": sending(moved)}
    with receiving(routing(routes)) as receiver, pytest.raises(UrlForbiddenError):
        fetch(tmp_path, f"{receiver.url}/file")


def test_a_redirect_may_have_spaces_as_browsers_allow_it(tmp_path: Path) -> None:
    moved = head_of("302 Found", {"Location": " /my file.bin", "Content-Length": "0"})
    found = sending(head_of("200 OK", {"Content-Length": "5"}), b"hello")
    with receiving(routing({"/file": sending(moved), "/my%20file.bin": found})) as receiver:
        fetch(tmp_path, f"{receiver.url}/file")
    assert (tmp_path / "file.bin").read_bytes() == b"hello"


@pytest.mark.parametrize("length", ["9" * 5000, "-5", "many"])
def test_a_length_that_is_no_number_is_an_error_not_a_file(length: str, tmp_path: Path) -> None:
    head = head_of("200 OK", {"Content-Length": length})
    with receiving(sending(head, b"hello")) as receiver, pytest.raises(UnexpectedContentError, match="no number"):
        fetch(tmp_path, receiver.url)
    assert left_over(tmp_path) == []


def test_a_date_beyond_all_calendars_is_no_date(tmp_path: Path) -> None:
    never = "99999999999 Jan 01 00:00:00 25:61:61 +0000"
    assert http_date(never) is None
    assert retry_after_s(never) is None
    head = head_of("200 OK", {"Content-Length": "5", "Last-Modified": never})
    with receiving(sending(head, b"hello")) as receiver:
        fetch(tmp_path, receiver.url)


CHUNKED = head_of("200 OK", {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n"
GZIPPED = head_of("200 OK", {"Content-Encoding": "gzip"}) + gzip.compress(CONTENT)


@pytest.mark.parametrize(
    ("head", "drop"),
    [(CHUNKED + b"0\r\n", b"X: y\r\n"), (CHUNKED + b"5;", b"a"), (GZIPPED, gzip.compress(b""))],
    ids=["trailers", "an extension of a chunk", "empty members of gzip"],
)
def test_what_adds_nothing_to_the_file_does_not_keep_the_job(
    head: bytes, drop: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transfer, "_ANSWER_S", 0.5)
    with (
        receiving(dripping(head, drop)) as receiver,
        pytest.raises(SourceUnreachableError, match="no data came"),
    ):
        fetch(tmp_path, receiver.url)
    assert left_over(tmp_path) == []
