"""Showing files of a folder before the job has ended: they are there, replaced at the end, withdrawn on failure."""

from pathlib import Path

import pytest

from tests.storage.attempts import attempt, everything
from tests.storage.test_resuming_folders import begun, finished, resumable
from workplatform.errors import BadInputError
from workplatform.storage.output import LocalOutput


def shown(output: LocalOutput, *names: str) -> None:
    for name in names:
        finished(output, name)
        output.show(name)


def renewed(output: LocalOutput, name: str, text: str) -> None:
    """Show another file under the name."""
    step = output.path / "step"
    step.write_text(text)
    step.replace(output.path / name)
    output.show(name)


def places(root: Path) -> set[str]:
    """What users see."""
    return {name for name in everything(root) if not name.startswith((".job", "state")) and "/.job" not in name}


def test_what_is_shown_is_there_before_the_end_and_replaced_by_the_commit(tmp_path: Path) -> None:
    files = attempt(tmp_path, 1)
    output = begun(files)
    assert output.may_show()
    shown(output, "a/1.txt", "list.txt", "all.txt")
    assert places(tmp_path) == {"out/a/1.txt", "out/list.txt", "out/all.txt"}
    renewed(output, "list.txt", "longer")
    assert (tmp_path / "out" / "list.txt").read_text() == "longer"
    renewed(output, "all.txt", "final")
    finished(output, "a/2.txt")
    files.check()
    files.commit()
    files.discard()
    assert everything(tmp_path) == {"out/a/1.txt", "out/a/2.txt", "out/list.txt", "out/all.txt"}
    assert (tmp_path / "out" / "all.txt").read_text() == "final"


def test_a_job_that_fails_withdraws_what_it_showed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "mine.doc").write_text("mine")
    files = attempt(tmp_path, 1)
    output = begun(files)
    shown(output, "a/1.txt", "b/1.txt", "all.txt")
    (tmp_path / "out" / "b" / "1.txt").unlink()
    (tmp_path / "out" / "b" / "1.txt").write_text("somebody else's by now")
    files.discard()
    assert everything(tmp_path) == {"out/a/mine.doc", "out/b/1.txt"}


def test_a_folder_made_for_what_is_shown_goes_with_it(tmp_path: Path) -> None:
    files = attempt(tmp_path, 1)
    shown(begun(files, uri="new/out"), "a/1.txt")
    files.discard()
    assert not (tmp_path / "new").exists()


def test_what_is_shown_stays_while_the_job_is_tried_again_and_its_next_attempt_goes_on_with_it(tmp_path: Path) -> None:
    first, second = attempt(tmp_path, 1), attempt(tmp_path, 2)
    shown(begun(first), "a/1.txt", "all.txt")
    first.discard(keep=True)
    assert not first.journal.clear(keep=True)
    assert places(tmp_path) == {"out/a/1.txt", "out/all.txt"}
    output = resumable(second)
    assert output.may_show()
    shown(output, "a/2.txt")
    renewed(output, "all.txt", "more")
    assert places(tmp_path) == {"out/a/1.txt", "out/a/2.txt", "out/all.txt"}
    second.commit()
    second.discard()
    first.journal.clear()
    assert everything(tmp_path) == {"out/a/1.txt", "out/a/2.txt", "out/all.txt"}


@pytest.mark.parametrize("last", [1, 2])
def test_whichever_attempt_is_cleared_last_withdraws(tmp_path: Path, last: int) -> None:
    attempts = {1: attempt(tmp_path, 1), 2: attempt(tmp_path, 2)}
    shown(begun(attempts[1]), "a/1.txt")
    resumable(attempts[2])
    if last == 1:
        attempts[2].discard()
        attempts[1].discard()
    else:
        attempts[1].discard(keep=True)
        attempts[2].discard()
        attempts[1].journal.clear()
    assert everything(tmp_path) == set()


def test_where_an_older_output_is_nothing_is_shown(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "all.txt").write_text("complete")
    files = attempt(tmp_path, 1)
    output = begun(files)
    assert not output.may_show()
    with pytest.raises(BadInputError, match="somebody else"):
        shown(output, "all.txt")
    files.discard()
    assert (tmp_path / "out" / "all.txt").read_text() == "complete"


def test_a_link_at_the_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "elsewhere")
    output = begun(attempt(tmp_path, 1))
    with pytest.raises(BadInputError, match="is a link"):
        shown(output, "a/1.txt")
    assert everything(tmp_path / "elsewhere") == set()


def test_withdrawing_lets_the_job_show_anew(tmp_path: Path) -> None:
    output = begun(attempt(tmp_path, 1))
    shown(output, "a/1.txt", "all.txt")
    output.withdraw()
    assert places(tmp_path) == set()
    renewed(output, "all.txt", "anew")
    assert places(tmp_path) == {"out/all.txt"}
