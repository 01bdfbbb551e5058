"""Outputs of an attempt: invisible until committed, gone if not."""

from pathlib import Path

import pytest

from workplatform.errors import BadInputError, EncoderError
from workplatform.storage.journal import Journals
from workplatform.storage.local import LocalFiles
from workplatform.storage.paths import Roots


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return attempt(tmp_path, 1)


def attempt(root: Path, fence: int) -> LocalFiles:
    state = root / "state"
    journal = Journals(state / "attempts").open("job_1", fence)
    return LocalFiles(Roots([root], base=root, reserved=[state]), journal, state / "work")


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_a_file_appears_only_when_it_is_committed(files: LocalFiles, tmp_path: Path) -> None:
    output = files.output("a/b/out.txt", directory=False, last=None)
    output.path.write_text("new")
    assert not output.target.exists()
    files.check()
    files.commit()
    files.discard()
    assert everything(tmp_path) == {"a/b/out.txt"}


def test_a_discarded_attempt_leaves_nothing_not_even_folders(files: LocalFiles, tmp_path: Path) -> None:
    output = files.output("a/b/out.txt", directory=False, last=None)
    output.path.write_text("half")
    (files.workdir / "scratch").write_text("x")
    files.discard()
    assert everything(tmp_path) == set()
    assert not (tmp_path / "a").exists()


def test_a_file_that_was_there_stays_until_the_new_one_is_whole(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("old")
    output = files.output("out.txt", directory=False, last=None)
    output.path.write_text("half")
    files.discard()
    assert (tmp_path / "out.txt").read_text() == "old"


def test_a_folder_merges_into_one_that_is_there(files: LocalFiles, tmp_path: Path) -> None:
    target = tmp_path / "hls"
    (target / "720p").mkdir(parents=True)
    (target / "720p" / "old.ts").write_text("old")
    (target / "master.m3u8").write_text("old")
    (target / "notes.txt").write_text("mine")
    output = files.output("hls", directory=True, last="master.m3u8")
    (output.path / "720p").mkdir()
    (output.path / "720p" / "new.ts").write_text("new")
    (output.path / "master.m3u8").write_text("new")
    files.check()
    files.commit()
    files.discard()
    assert everything(tmp_path) == {"hls/720p/new.ts", "hls/master.m3u8", "hls/notes.txt"}
    assert (target / "master.m3u8").read_text() == "new"


def test_nothing_written_is_an_error(files: LocalFiles) -> None:
    files.output("out.txt", directory=False, last=None)
    with pytest.raises(EncoderError, match=r"out\.txt"):
        files.check()


def test_a_file_does_not_replace_a_folder_nor_the_other_way_round(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match="is a folder"):
        files.output("folder", directory=False, last=None)
    with pytest.raises(BadInputError, match="is a file"):
        files.output("file", directory=True, last=None)


def test_two_attempts_of_a_job_do_not_touch_each_others_temporaries(tmp_path: Path) -> None:
    first, second = attempt(tmp_path, 1), attempt(tmp_path, 2)
    old = first.output("out.txt", directory=False, last=None)
    new = second.output("out.txt", directory=False, last=None)
    old.path.write_text("old")
    new.path.write_text("new")
    first.discard()
    second.commit()
    assert (tmp_path / "out.txt").read_text() == "new"


def test_a_journal_clears_what_a_dead_attempt_left(tmp_path: Path) -> None:
    dead = attempt(tmp_path, 3)
    dead.output("out.txt", directory=False, last=None).path.write_text("half")
    dead.output("folder", directory=True, last=None)
    (dead.workdir / "scratch").touch()
    found = list(Journals(tmp_path / "state" / "attempts").all())
    assert [(journal.job_id, journal.fence) for journal in found] == [("job_1", 3)]
    found[0].clear()
    assert everything(tmp_path) == set()
