"""Outputs of an attempt: invisible until committed, gone if not."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.storage.attempts import attempt, everything
from workplatform.errors import BadInputError, EncoderError
from workplatform.storage.journal import Journals
from workplatform.storage.local import LocalFiles


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return attempt(tmp_path, 1)


def test_a_file_appears_only_when_it_is_committed(files: LocalFiles, tmp_path: Path) -> None:
    output = files.output("a/b/out.txt", directory=False, last=None, owned=())
    output.path.write_text("new")
    assert not output.target.exists()
    files.check()
    files.commit()
    files.discard()
    assert everything(tmp_path) == {"a/b/out.txt"}


def test_a_discarded_attempt_leaves_nothing_not_even_folders(files: LocalFiles, tmp_path: Path) -> None:
    output = files.output("a/b/out.txt", directory=False, last=None, owned=())
    output.path.write_text("half")
    (files.workdir / "scratch").write_text("x")
    files.discard()
    assert everything(tmp_path) == set()
    assert not (tmp_path / "a").exists()


def test_an_attempt_that_was_taken_for_dead_and_writes_on_leaves_nothing(files: LocalFiles, tmp_path: Path) -> None:
    output = files.output("out.txt", directory=False, last=None, owned=())
    output.path.write_text("half")
    [swept] = Journals(files.journal.file.parent).all()
    assert swept.clear()
    output.path.write_text("the rest")
    assert files.workdir.is_dir(), "what it makes from now on is noted anew"
    files.discard()
    assert everything(tmp_path) == set()


def test_a_file_that_was_there_stays_until_the_new_one_is_whole(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("old")
    output = files.output("out.txt", directory=False, last=None, owned=())
    output.path.write_text("half")
    files.discard()
    assert (tmp_path / "out.txt").read_text() == "old"


def test_a_folder_merges_into_one_that_is_there(files: LocalFiles, tmp_path: Path) -> None:
    target = tmp_path / "hls"
    (target / "720p").mkdir(parents=True)
    (target / "720p" / "old.ts").write_text("old")
    (target / "master.m3u8").write_text("old")
    (target / "notes.txt").write_text("mine")
    (target / "720p" / "precious.txt").write_text("mine")
    output = files.output("hls", directory=True, last="master.m3u8", owned=("*/*.ts",))
    (output.path / "720p").mkdir()
    (output.path / "720p" / "new.ts").write_text("new")
    (output.path / "master.m3u8").write_text("new")
    files.check()
    files.commit()
    files.discard()
    assert everything(tmp_path) == {"hls/720p/new.ts", "hls/720p/precious.txt", "hls/master.m3u8", "hls/notes.txt"}
    assert (target / "master.m3u8").read_text() == "new"


def test_nothing_written_is_an_error(files: LocalFiles) -> None:
    files.output("out.txt", directory=False, last=None, owned=())
    with pytest.raises(EncoderError, match=r"out\.txt"):
        files.check()


def test_a_file_does_not_replace_a_folder_nor_the_other_way_round(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match="is a folder"):
        files.output("folder", directory=False, last=None, owned=())
    with pytest.raises(BadInputError, match="is a file"):
        files.output("file", directory=True, last=None, owned=())


def test_two_attempts_of_a_job_do_not_touch_each_others_temporaries(tmp_path: Path) -> None:
    first, second = attempt(tmp_path, 1), attempt(tmp_path, 2)
    old = first.output("out.txt", directory=False, last=None, owned=())
    new = second.output("out.txt", directory=False, last=None, owned=())
    old.path.write_text("old")
    new.path.write_text("new")
    first.discard()
    second.commit()
    assert (tmp_path / "out.txt").read_text() == "new"


def test_a_journal_clears_what_a_dead_attempt_left(tmp_path: Path) -> None:
    dead = attempt(tmp_path, 3)
    dead.output("out.txt", directory=False, last=None, owned=()).path.write_text("half")
    dead.output("folder", directory=True, last=None, owned=())
    (dead.workdir / "scratch").touch()
    found = list(Journals(tmp_path / "state" / "attempts").all())
    assert [(journal.job_id, journal.fence) for journal in found] == [("job_1", 3)]
    found[0].clear()
    assert everything(tmp_path) == set()


@pytest.mark.parametrize("separator", ["\n", "\r", "\u2028", "\x0b", "\x85"])
def test_a_name_with_line_breaks_removes_nothing_outside(files: LocalFiles, tmp_path: Path, separator: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("mine")
    output = files.output(f"out/a{separator}{victim}{separator}/x.txt", directory=False, last=None, owned=())
    output.path.write_text("new")
    files.commit()
    files.discard()
    assert (victim / "file").read_text() == "mine"


def test_a_journal_that_names_something_else_removes_nothing(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "victim.txt").write_text("mine")
    for path in (tmp_path / "victim.txt", tmp_path, Path("/etc/passwd")):
        files.journal.note(path)
    for folder in (tmp_path, Path("/etc")):
        files.journal.note_folder(folder)
    files.journal.clear()
    assert (tmp_path / "victim.txt").exists()


@pytest.mark.parametrize("name", ["file/x.webp", "n" * 300, "file/deeper/x.webp", "n" * 300 + "/x.webp"])
def test_a_path_that_cannot_be_written_fails_in_a_sentence_and_leaves_nothing(
    files: LocalFiles, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match="cannot be written"):
        files.output(name, directory=False, last=None, owned=())
    files.discard()
    assert everything(tmp_path) == {"file"}


def test_a_failing_neighbour_does_not_take_the_folder_away(tmp_path: Path) -> None:
    first, second = attempt(tmp_path, 1), attempt(tmp_path, 2)
    first.output("new/a.txt", directory=False, last=None, owned=())
    kept = second.output("new/b.txt", directory=False, last=None, owned=())
    first.discard()
    kept.path.write_text("whole")
    second.check()
    second.commit()
    assert (tmp_path / "new" / "b.txt").read_text() == "whole"


def test_one_output_can_be_made_visible_before_the_others(files: LocalFiles, tmp_path: Path) -> None:
    outputs = [files.output(f"{name}/out.txt", directory=False, last=None, owned=()) for name in "abc"]
    for output in outputs:
        output.path.write_text("whole")
    files.publish(outputs[1])
    assert everything(tmp_path) & {"a/out.txt", "b/out.txt", "c/out.txt"} == {"b/out.txt"}
    files.drop(outputs[0])
    files.check()
    files.commit()
    files.discard()
    assert everything(tmp_path) == {"b/out.txt", "c/out.txt"}
    assert not (tmp_path / "a").exists(), "the folder of the dropped one was made for nothing"
    assert files.committed == [{"uri": f"{name}/out.txt", "directory": False} for name in "bc"]


def test_what_was_published_stays_when_the_attempt_fails(files: LocalFiles, tmp_path: Path) -> None:
    kept, lost = (files.output(f"out/{name}.txt", directory=False, last=None, owned=()) for name in "ab")
    kept.path.write_text("whole")
    lost.path.write_text("half")
    files.publish(kept)
    files.discard()
    assert everything(tmp_path) == {"out/a.txt"}
    assert files.committed == [{"uri": "out/a.txt", "directory": False}]


def test_an_output_is_published_or_dropped_once_and_only_if_something_was_written(files: LocalFiles) -> None:
    output = files.output("out.txt", directory=False, last=None, owned=())
    with pytest.raises(EncoderError):
        files.publish(output)
    output.path.write_text("whole")
    files.publish(output)
    for repeat in (files.publish, files.drop):
        with pytest.raises(ValueError, match=r"out\.txt"):
            repeat(output)


def test_threads_of_one_attempt_do_not_get_into_each_others_way(files: LocalFiles, tmp_path: Path) -> None:
    def make(number: int) -> None:
        output = files.output(
            f"{number % 7}/{number}.txt", directory=False, last=None, owned=(), resume=number % 2 == 0
        )
        output.path.write_text(str(number))
        if number % 5 == 0:
            files.drop(output)
        elif number % 3 == 0:
            files.publish(output)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(200)))
    files.check()
    files.commit()
    files.discard()
    wanted = {f"{number % 7}/{number}.txt" for number in range(200) if number % 5}
    assert everything(tmp_path) == wanted
    assert {output["uri"] for output in files.committed} == wanted


@pytest.mark.parametrize("obstacle", ["folder", "file", "link"])
def test_a_folder_that_cannot_be_merged_is_left_as_it_was(files: LocalFiles, tmp_path: Path, obstacle: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = tmp_path / "hls"
    target.mkdir()
    (target / "master.m3u8").write_text("old")
    (target / "stale.ts").write_text("old")
    if obstacle == "folder":
        (target / "720p" / "new.ts").mkdir(parents=True)
    elif obstacle == "file":
        (target / "720p").write_text("mine")
    else:
        (target / "720p").symlink_to(elsewhere)
    output = files.output("hls", directory=True, last="master.m3u8", owned=("*.ts",))
    (output.path / "720p").mkdir()
    (output.path / "720p" / "new.ts").write_text("new")
    (output.path / "master.m3u8").write_text("new")
    single = files.output("single.txt", directory=False, last=None, owned=())
    single.path.write_text("new")
    with pytest.raises(BadInputError, match="hls/720p"):
        files.check()
    files.discard()
    assert (target / "master.m3u8").read_text() == "old"
    assert (target / "stale.ts").exists()
    assert not list(elsewhere.iterdir())
    assert not (tmp_path / "single.txt").exists()


def test_a_folder_of_ones_own_where_a_stale_file_was_is_left_alone(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "hls" / "mine.ts").mkdir(parents=True)
    output = files.output("hls", directory=True, last=None, owned=("*.ts",))
    (output.path / "new.ts").write_text("new")
    files.check()
    files.commit()
    assert (tmp_path / "hls" / "mine.ts").is_dir()
    assert (tmp_path / "hls" / "new.ts").read_text() == "new"


@pytest.mark.parametrize("directory", [False, True])
def test_a_target_that_has_become_another_kind_meanwhile_is_not_touched(files: LocalFiles, directory: bool) -> None:
    output = files.output("out", directory=directory, last=None, owned=())
    (output.path / "file" if directory else output.path).write_text("new")
    if directory:
        output.target.write_text("mine")
    else:
        output.target.mkdir()
    with pytest.raises(BadInputError, match="this job writes"):
        files.check()
    assert output.target.read_text() == "mine" if directory else output.target.is_dir()
