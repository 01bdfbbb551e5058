"""Resumable outputs: what one attempt has half written, the next goes on with, and nobody else writes to."""

from pathlib import Path

import pytest

from tests.storage.attempts import attempt, everything
from workplatform.errors import Cancelled, EncoderError
from workplatform.storage.local import LocalFiles
from workplatform.storage.output import LocalOutput

BIG = 20 << 20  # more than one block of a copy


def resumable(files: LocalFiles, uri: str = "out.bin") -> LocalOutput:
    return files.output(uri, directory=False, last=None, owned=(), resume=True)


def half_written(files: LocalFiles, data: bytes = b"half", note: str = "etag 1", uri: str = "out.bin") -> LocalOutput:
    output = resumable(files, uri)
    output.note.write_text(note)
    with output.path.open("ab") as file:
        file.write(data)
    return output


def test_a_first_attempt_finds_nothing_and_its_note_goes_with_the_commit(tmp_path: Path) -> None:
    files = attempt(tmp_path, 1)
    output = resumable(files)
    assert output.path.read_bytes() == b"" and not output.note.exists()
    with pytest.raises(EncoderError):
        files.check()
    output.note.write_text("etag 1")
    output.path.write_bytes(b"whole")
    files.check()
    files.commit()
    files.discard()
    assert everything(tmp_path) == {"out.bin"}


@pytest.mark.parametrize("fence", [2, 7])
def test_a_later_attempt_goes_on_where_an_earlier_one_stopped(tmp_path: Path, fence: int) -> None:
    first, later = attempt(tmp_path, 1), attempt(tmp_path, fence)
    before = half_written(first)
    inode = before.path.stat().st_ino
    first.discard(keep=True)
    output = resumable(later)
    assert (output.path.read_bytes(), output.note.read_text()) == (b"half", "etag 1")
    assert output.path.stat().st_ino == inode, "a file that nobody holds is not copied"
    later.check()
    later.commit()
    later.discard()
    assert (tmp_path / "out.bin").read_bytes() == b"half"
    assert not list(tmp_path.glob(".job_*"))


def test_the_newest_of_several_beginnings_is_taken(tmp_path: Path) -> None:
    first, second = attempt(tmp_path, 1), attempt(tmp_path, 2)
    held = half_written(first, b"ha")
    half_written(second, b"lf")
    second.discard(keep=True)
    assert resumable(attempt(tmp_path, 3)).path.read_bytes() == b"half"
    assert held.path.read_bytes() == b"ha"


@pytest.mark.parametrize("size", [4, BIG])
def test_an_attempt_that_is_still_alive_keeps_its_own_file(tmp_path: Path, size: int) -> None:
    zombie, fresh = attempt(tmp_path, 1), attempt(tmp_path, 2)
    theirs = half_written(zombie, b"h" * size)
    with theirs.path.open("ab") as file:
        ours = resumable(fresh)
        assert ours.path.stat().st_size == size and ours.note.read_text() == "etag 1"
        assert ours.path.stat().st_ino != theirs.path.stat().st_ino
        file.write(b"late")
    theirs.note.write_text("late")
    zombie.discard()
    assert ours.path.stat().st_size == size and ours.note.read_text() == "etag 1"
    fresh.check()
    fresh.commit()
    assert (tmp_path / "out.bin").stat().st_size == size


@pytest.mark.parametrize("starts_over_by", ["note", "length"])
def test_a_copy_of_a_file_that_starts_over_meanwhile_is_never_a_mixture(tmp_path: Path, starts_over_by: str) -> None:
    theirs = half_written(attempt(tmp_path, 1), b"old" * BIG)

    def start_over() -> None:
        if starts_over_by == "note":
            theirs.note.write_text("etag 2, and more of it")
        theirs.path.write_bytes(b"new" if starts_over_by == "length" else b"new" * BIG)

    fresh = attempt(tmp_path, 2, watch=start_over)
    ours = resumable(fresh)
    # Whole where the file system copies in one step, so that nothing can come between; else nothing at all.
    whole = (b"old" * BIG, True)
    assert (ours.path.read_bytes(), ours.note.exists()) in ((b"", False), whole)


def test_a_copy_ends_with_its_attempt_and_leaves_nothing(tmp_path: Path) -> None:
    theirs = half_written(attempt(tmp_path, 1), b"o" * BIG)

    def stop() -> None:
        raise Cancelled

    fresh = attempt(tmp_path, 2, watch=stop)
    try:
        resumable(fresh)
    except Cancelled:
        assert {path.name for path in tmp_path.glob(".job_*")} == {theirs.path.name, theirs.note.name}
    fresh.discard()
    assert theirs.path.stat().st_size == BIG


def test_bytes_without_a_note_and_a_note_without_bytes_are_not_handed_on(tmp_path: Path) -> None:
    first = attempt(tmp_path, 1)
    resumable(first, "bytes.bin").path.write_bytes(b"half")
    resumable(first, "note.bin").note.write_text("etag 1")
    first.discard(keep=True)
    second = attempt(tmp_path, 2)
    for uri in ("bytes.bin", "note.bin"):
        output = resumable(second, uri)
        assert output.path.read_bytes() == b"" and not output.note.exists()


def test_another_target_or_another_job_finds_nothing(tmp_path: Path) -> None:
    first = attempt(tmp_path, 1)
    half_written(first)
    first.discard(keep=True)
    assert resumable(attempt(tmp_path, 2), "other.bin").path.read_bytes() == b""
    assert resumable(attempt(tmp_path, 2, job_id="job_2")).path.read_bytes() == b""


def test_a_link_in_the_place_of_a_beginning_is_not_followed(tmp_path: Path) -> None:
    first = attempt(tmp_path, 1)
    theirs = half_written(first)
    first.discard(keep=True)
    (tmp_path / "victim").write_text("mine")
    theirs.path.unlink()
    theirs.path.symlink_to(tmp_path / "victim")
    output = resumable(attempt(tmp_path, 2))
    output.path.write_bytes(b"new")
    assert (tmp_path / "victim").read_text() == "mine"


def test_the_second_output_for_one_target_is_an_ordinary_one(tmp_path: Path) -> None:
    files = attempt(tmp_path, 1)
    first, second = resumable(files), resumable(files)
    first.path.write_bytes(b"first")
    second.path.write_bytes(b"second")
    files.check()
    files.commit()
    files.discard()
    assert (tmp_path / "out.bin").read_bytes() == b"second"
    assert everything(tmp_path) == {"out.bin"}


def test_only_beginnings_are_kept_and_all_goes_when_the_job_is_over(tmp_path: Path) -> None:
    first, second = attempt(tmp_path, 1), attempt(tmp_path, 2)
    half_written(first)
    first.output("plain.bin", directory=False, last=None, owned=()).path.write_bytes(b"half")
    (first.workdir / "scratch").touch()
    first.discard(keep=True)
    assert len(list(tmp_path.glob(".job_*"))) == 2, "the bytes and their note"
    assert not (tmp_path / "state" / "work" / "job_1.1").exists()
    assert not first.journal.clear(keep=True), "there is nothing more to do until the job is over"
    half_written(second, uri="more.bin")
    second.discard()
    assert second.journal.clear() is False
    assert first.journal.clear() is True
    assert everything(tmp_path) == set()


def test_a_folder_made_for_a_beginning_goes_when_the_job_is_over(tmp_path: Path) -> None:
    first, second = attempt(tmp_path, 1), attempt(tmp_path, 2)
    half_written(first, uri="made/here/out.bin")
    first.discard(keep=True)
    half_written(second, uri="made/here/out.bin")
    second.discard()
    assert (tmp_path / "made" / "here").is_dir(), "the first attempt made it"
    assert first.journal.clear(keep=True)
    assert not (tmp_path / "made").exists()


def test_a_folder_that_the_next_attempt_uses_stays_until_the_job_is_over(tmp_path: Path) -> None:
    first, second = attempt(tmp_path, 1), attempt(tmp_path, 2)
    for files in (first, second):
        files.output("made/out.bin", directory=False, last=None, owned=()).path.write_bytes(b"half")
    first.discard(keep=True)
    second.discard()
    assert first.journal.clear()
    assert everything(tmp_path) == set() and not (tmp_path / "made").exists()
