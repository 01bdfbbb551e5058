"""Resumable folders: what one attempt has finished, the next goes on with, and nobody else writes to."""

import os
from pathlib import Path

import pytest

from tests.storage.attempts import attempt, everything
from workplatform.errors import Cancelled, LeaseLostError
from workplatform.storage import keeping
from workplatform.storage.local import LocalFiles
from workplatform.storage.output import LocalOutput


def resumable(files: LocalFiles, uri: str = "out") -> LocalOutput:
    return files.output(uri, directory=True, last="all.txt", owned=("*.txt", "*/*.txt"), resume=True)


def begun(files: LocalFiles, *names: str, uri: str = "out") -> LocalOutput:
    output = resumable(files, uri)
    output.note.write_text("settings 1")
    for name in names:
        finished(output, name)
    return output


def finished(output: LocalOutput, name: str) -> None:
    place = output.path / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(name)
    output.keep(name)


def test_a_first_attempt_finds_an_empty_folder_and_leaves_nothing_but_its_output(tmp_path: Path) -> None:
    files = attempt(tmp_path, 1)
    output = resumable(files)
    assert not list(output.path.iterdir()) and not output.note.exists()
    output.note.write_text("settings 1")
    finished(output, "a/1.txt")
    files.check()
    files.commit()
    files.discard()
    assert everything(tmp_path) == {"out/a/1.txt"}


@pytest.mark.parametrize("fence", [2, 7])
def test_a_later_attempt_has_what_was_finished_and_no_more(tmp_path: Path, fence: int) -> None:
    first = attempt(tmp_path, 1)
    before = begun(first, "a/1.txt", "a/2.txt", "b.txt")
    (before.path / "half.txt").write_text("ha")
    first.discard(keep=True)
    later = attempt(tmp_path, fence)
    output = resumable(later)
    assert everything(output.path) == {"a/1.txt", "a/2.txt", "b.txt"}
    assert output.note.read_text() == "settings 1"
    later.commit()
    later.discard()
    first.journal.clear()
    assert everything(tmp_path) == {"out/a/1.txt", "out/a/2.txt", "out/b.txt"}


def test_what_was_finished_is_handed_on_through_several_attempts(tmp_path: Path) -> None:
    begun(attempt(tmp_path, 1), "1.txt")
    finished(resumable(attempt(tmp_path, 2)), "2.txt")
    assert everything(resumable(attempt(tmp_path, 3)).path) == {"1.txt", "2.txt"}


def test_an_attempt_that_comes_back_late_reaches_nothing_of_its_successor(tmp_path: Path) -> None:
    zombie, fresh = attempt(tmp_path, 1), attempt(tmp_path, 2)
    theirs = begun(zombie, "1.txt")
    (theirs.path / "work").mkdir()
    inside = os.open(theirs.path / "work", os.O_RDONLY)  # as its encoder's working directory
    ours = resumable(fresh)
    with pytest.raises(LeaseLostError):
        theirs.keep("1.txt")
    with pytest.raises(LeaseLostError):
        theirs.show("1.txt")
    with pytest.raises(FileNotFoundError):
        os.open("2.txt", os.O_WRONLY | os.O_CREAT, dir_fd=inside)
    os.close(inside)
    assert everything(ours.path) == {"1.txt"}
    zombie.discard()
    assert everything(ours.path) == {"1.txt"}
    fresh.commit()
    fresh.discard()
    assert everything(tmp_path) == {"out/1.txt"}


def test_a_file_that_was_replaced_after_it_was_finished_is_not_handed_on(tmp_path: Path) -> None:
    output = begun(attempt(tmp_path, 1), "1.txt", "2.txt", "3.txt")
    (output.path / "1.txt").unlink()
    (output.path / "2.txt").write_text("begun anew")
    assert everything(resumable(attempt(tmp_path, 2)).path) == {"3.txt"}


def test_files_without_a_note_and_a_note_without_files_are_not_handed_on(tmp_path: Path) -> None:
    first, second = attempt(tmp_path, 1), attempt(tmp_path, 2)
    begun(first, "1.txt", uri="silent").note.unlink()
    begun(first, uri="empty")
    for uri in ("silent", "empty"):
        output = resumable(second, uri)
        assert not everything(output.path) and not output.note.exists()


def test_a_takeover_that_is_broken_off_loses_nothing(tmp_path: Path) -> None:
    def stop() -> None:
        raise Cancelled

    begun(attempt(tmp_path, 1), "1.txt", "2.txt")
    second = attempt(tmp_path, 2, watch=stop)
    with pytest.raises(Cancelled):
        resumable(second)
    second.discard(keep=True)
    assert everything(resumable(attempt(tmp_path, 3)).path) == {"1.txt", "2.txt"}


def test_names_that_lead_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("mine")
    output = begun(attempt(tmp_path, 1), "1.txt")
    keeping.keep(output.path, "../secret.txt")
    keeping.keep(output.path, str(tmp_path / "secret.txt"))
    (output.path / "link.txt").symlink_to(tmp_path / "secret.txt")
    output.keep("link.txt")
    with output.ledger.open("a") as ledger:
        ledger.write('["1.txt", 5')
    assert everything(resumable(attempt(tmp_path, 2)).path) == {"1.txt"}


def test_a_file_system_without_links_gets_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_words: object, **_options: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refused)
    begun(attempt(tmp_path, 1), "a/1.txt")
    resumable(attempt(tmp_path, 2))
    output = resumable(attempt(tmp_path, 3))
    assert everything(output.path) == {"a/1.txt"}


def test_all_goes_when_the_job_is_over(tmp_path: Path) -> None:
    first, second = attempt(tmp_path, 1), attempt(tmp_path, 2)
    begun(first, "1.txt")
    first.discard(keep=True)
    begun(second, "2.txt", uri="other")
    second.discard()
    assert first.journal.clear()
    assert everything(tmp_path) == set()


def test_another_target_or_another_job_finds_nothing(tmp_path: Path) -> None:
    begun(attempt(tmp_path, 1), "1.txt")
    assert not everything(resumable(attempt(tmp_path, 2), "elsewhere").path)
    assert not everything(resumable(attempt(tmp_path, 2, job_id="job_2")).path)
