"""Downloads that are large enough for the kernel to move their bytes: all that holds for small ones holds here."""

import hashlib
import os
import random
from pathlib import Path

import pytest

from tests.disks import small_disk
from tests.receiver import receiving
from tests.workers._origins import Origin, fetch, left_over
from workers import _partial
from workplatform import sockets
from workplatform.errors import (
    ChecksumError,
    NoSpaceError,
    SourceUnreachableError,
    TooLargeError,
    UnexpectedContentError,
)

LARGE = random.Random(6).randbytes(5_000_000)


@pytest.fixture
def spliced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note what the kernel moves from sockets."""
    moved: list[int] = []
    splice = sockets.PatientSocket.splice

    def noting(self: sockets.PatientSocket, pipe: int, most: int) -> int:
        moved.append(splice(self, pipe, most))
        return moved[-1]

    monkeypatch.setattr(sockets.PatientSocket, "splice", noting)
    return moved


def test_a_large_file_comes_whole(tmp_path: Path, spliced: list[int]) -> None:
    with receiving(Origin(content=LARGE)) as receiver:
        result = fetch(tmp_path, receiver.url)
    assert (tmp_path / "file.bin").read_bytes() == LARGE
    assert result["size"] == len(LARGE)
    assert sum(spliced) > len(LARGE) // 2


def test_where_connections_break_the_rest_follows_at_the_very_byte(tmp_path: Path, spliced: list[int]) -> None:
    origin = Origin(content=LARGE, cuts=iter((1_234_567, 1_000_003, None)))
    with receiving(origin) as receiver:
        fetch(tmp_path, receiver.url)
    assert (tmp_path / "file.bin").read_bytes() == LARGE
    assert origin.served == 3
    assert spliced


def test_a_checksum_is_that_of_all_bytes(tmp_path: Path, spliced: list[int]) -> None:
    with receiving(Origin(content=LARGE, cuts=iter((2_000_000,)))) as receiver:
        fetch(tmp_path, receiver.url, sha256=hashlib.sha256(LARGE).hexdigest())
    assert (tmp_path / "file.bin").read_bytes() == LARGE
    assert spliced


def test_a_wrong_checksum_is_an_error(tmp_path: Path) -> None:
    with (
        receiving(Origin(content=LARGE)) as receiver,
        pytest.raises(ChecksumError, match=hashlib.sha256(LARGE).hexdigest()),
    ):
        fetch(tmp_path, receiver.url, sha256="0" * 64)
    assert left_over(tmp_path) == []


def test_a_short_body_is_an_error_not_a_file(tmp_path: Path) -> None:
    origin = Origin(content=LARGE, knows_ranges=False, cuts=iter([3_000_000] * 50))
    with receiving(origin) as receiver, pytest.raises(SourceUnreachableError):
        fetch(tmp_path, receiver.url)
    assert left_over(tmp_path) == []


def test_more_than_was_announced_is_refused(tmp_path: Path) -> None:
    origin = Origin(content=LARGE, headers={"Content-Length": "3000000"})
    with receiving(origin) as receiver, pytest.raises(UnexpectedContentError, match="more bytes"):
        fetch(tmp_path, receiver.url)
    assert left_over(tmp_path) == []


def test_the_largest_size_is_held_to(tmp_path: Path) -> None:
    with receiving(Origin(content=LARGE)) as receiver, pytest.raises(TooLargeError):
        fetch(tmp_path, receiver.url, maxBytes=4_000_000)
    assert left_over(tmp_path) == []


def test_a_disk_that_fills_up_on_the_way_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_partial.Partial, "require_space", lambda _partial, _total: None)
    with small_disk(tmp_path / "disk") as disk, receiving(Origin(content=LARGE * 2)) as receiver:
        with pytest.raises(NoSpaceError):
            fetch(disk, receiver.url)
        assert left_over(disk) == []


def test_a_file_system_that_cannot_splice_is_written_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spliced: list[int]
) -> None:
    opened = os.open

    def appending(path: Path, flags: int, *more: int) -> int:
        # splice refuses to append, as some file systems refuse all of it
        return opened(path, flags if flags & os.O_CREAT else flags | os.O_APPEND, *more)

    monkeypatch.setattr(os, "open", appending)
    with receiving(Origin(content=LARGE)) as receiver:
        fetch(tmp_path, receiver.url)
    assert (tmp_path / "file.bin").read_bytes() == LARGE
    assert spliced
