"""Local changes of a working copy that is deployed: whatever they are, they are set aside, named, and never lost."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.disks import small_disk
from tests.workers._deploys import Project
from tests.workers._repositories import Repository
from workers._deploy_copy import WorkingCopy
from workers._deploy_place import Journal
from workers.deploy import deploy
from workplatform.children import ChildPool
from workplatform.errors import BadInputError, BuildFailedError, HealthCheckError, NoSpaceError
from workplatform.registry import preloads


@pytest.fixture(scope="module")
def children() -> Iterator[ChildPool]:
    """Warm children for all tests of the module."""
    pool = ChildPool(preload=preloads(deploy.__job_type__))  # type: ignore[attr-defined]
    yield pool
    pool.close()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with one commit."""
    repository = Repository(tmp_path / "repo")
    repository.commit("Begin", page="one", other="one", __gitignore="*.local\n")
    return repository


@pytest.fixture
def project(tmp_path: Path, repository: Repository, children: ChildPool) -> Project:
    """A project that was deployed once."""
    assert repository.folder == tmp_path / "repo"
    project = Project(tmp_path, children)
    project.deploy()
    return project


def in_site(project: Project, repository: Repository, *words: str) -> str:
    return repository.git("-C", str(project.site), *words)


class WorkerDiedError(BaseException):
    """A worker has died here."""


def die(*_: object) -> None:
    raise WorkerDiedError


def leave_a_conflict(project: Project, repository: Repository) -> None:
    """Merge the repository's branch into changes of the site's own, which does not work."""
    (project.site / "page").write_text("mine")
    in_site(project, repository, "commit", "--quiet", "--all", "--message", "Mine")
    repository.commit("Go on", page="two")
    in_site(project, repository, "fetch", "--quiet", str(repository.folder), "main")
    with pytest.raises(Exception, match="merge"):
        in_site(project, repository, "merge", "FETCH_HEAD")


def test_what_was_set_aside_comes_back_by_git_stash_apply(project: Project, repository: Repository) -> None:
    (project.site / "page").write_text("edited")
    (project.site / "other").unlink()
    (project.site / "deep" / "er").mkdir(parents=True)
    (project.site / "deep" / "er" / "new").write_text("new")
    repository.commit("Go on", third="three")
    stashed = project.deploy()["stashed"]
    assert sorted(stashed["files"]) == ["deep/er/new", "other", "page"]
    assert (project.read("page"), project.read("other"), project.read("third")) == ("one", "one", "three")
    assert not (project.site / "deep").exists()
    in_site(project, repository, "stash", "apply", "--quiet", stashed["commit"])
    assert (project.read("page"), project.read("other"), project.read("deep/er/new")) == ("edited", None, "new")


def test_files_in_conflict_are_set_aside_as_they_are(project: Project, repository: Repository) -> None:
    leave_a_conflict(project, repository)
    conflict = project.read("page") or ""
    assert "<<<<<<<" in conflict
    stashed = project.deploy()["stashed"]
    assert stashed["files"] == ["page"]
    assert in_site(project, repository, "show", f"{stashed['commit']}:page") == conflict.strip()
    assert project.read("page") == "two"


def test_a_conflict_is_as_it_was_when_the_deploy_fails(project: Project, repository: Repository) -> None:
    leave_a_conflict(project, repository)
    conflict = project.read("page")
    with pytest.raises(HealthCheckError):
        project.deploy(healthCheck={"url": "http://127.0.0.1:9/", "patience": 0.1})
    assert project.read("page") == conflict
    assert in_site(project, repository, "status", "--porcelain") == "UU page"
    (project.site / "page").write_text("both")
    in_site(project, repository, "commit", "--quiet", "--all", "--no-edit")
    parents = in_site(project, repository, "log", "-1", "--format=%p").split()
    assert len(parents) == 2, "the merge went on"


def test_a_row_of_cherry_picks_goes_on_when_the_deploy_fails(project: Project, repository: Repository) -> None:
    picked = [repository.commit(text, page=text) for text in ("two", "three")]
    (project.site / "page").write_text("mine")
    in_site(project, repository, "commit", "--quiet", "--all", "--message", "Mine")
    in_site(project, repository, "fetch", "--quiet", str(repository.folder), "main")
    with pytest.raises(Exception, match="cherry-pick"):
        in_site(project, repository, "cherry-pick", *picked)
    (project.site / "page").write_text("two")
    for command in ("exit 1", "git cherry-pick --quit; git merge --no-ff HEAD~1; exit 1"):
        with pytest.raises(BuildFailedError):
            project.deploy(buildCommand=command)
    in_site(project, repository, "commit", "--quiet", "--all", "--no-edit")
    in_site(project, repository, "cherry-pick", "--continue")
    assert in_site(project, repository, "log", "-3", "--format=%s").split() == ["three", "two", "Mine"]


def test_an_ignored_file_is_set_aside_when_the_repository_brings_one_of_its_name(
    project: Project, repository: Repository
) -> None:
    (project.site / "db.local").write_text("precious")
    (project.site / "folder.local").mkdir()
    (project.site / "folder.local" / "inner").write_text("precious too")
    (project.site / "file.local").write_text("in the way of a folder")
    (project.site / "free.local").write_text("in nobody's way")
    (repository.folder / ".gitignore").unlink()
    repository.commit("Go on", **{"db__local": "default", "folder__local": "a file", "file__local/inner": "deep"})
    stashed = project.deploy()["stashed"]
    assert stashed["files"] == ["db.local", "file.local", "folder.local/inner"]
    assert in_site(project, repository, "show", f"{stashed['commit']}^3:db.local") == "precious"
    assert (project.read("db.local"), project.read("folder.local")) == ("default", "a file")
    assert (project.read("file.local/inner"), project.read("free.local")) == ("deep", "in nobody's way")


def test_a_repository_inside_stays_where_it_is(project: Project, repository: Repository) -> None:
    inner = Repository(project.site / "inner")
    inner.commit("Own", own="own")
    (project.site / "loose").write_text("x")
    repository.commit("Go on", page="two")
    for more in ({}, {"buildCommand": "true"}):
        project.deploy(**more)
        assert project.read("inner/own") == "own"
        assert any("inner/ is a repository of its own" in line for line in project.lines)
    with pytest.raises(BuildFailedError):
        project.deploy(buildCommand="rm -r inner; exit 1")
    assert inner.git("log", "--format=%s") == "Own"


def test_all_of_many_local_changes_are_set_aside(project: Project, repository: Repository) -> None:
    for number in range(600):
        path = project.site / "many" / str(number % 30) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    repository.commit("Go on", page="two")
    stashed = project.deploy()["stashed"]
    assert len(in_site(project, repository, "ls-tree", "-r", f"{stashed['commit']}^3").splitlines()) == 600


def test_without_a_build_local_changes_are_back_when_the_health_check_fails(
    project: Project, repository: Repository
) -> None:
    (project.site / "page").write_text("edited")
    (project.site / "new").write_text("new")
    (project.site / "kept.local").write_text("ignored")
    repository.commit("Go on", page="two")
    with pytest.raises(HealthCheckError, match="local changes are kept"):
        project.deploy(healthCheck={"url": "http://127.0.0.1:9/", "patience": 0.1})
    assert (project.read("page"), project.read("new"), project.read("kept.local")) == ("edited", "new", "ignored")


def test_what_is_staged_or_removed_is_so_again_when_the_build_fails(project: Project, repository: Repository) -> None:
    (project.site / "page").write_text("staged")
    in_site(project, repository, "add", "page")
    (project.site / "page").write_text("edited")
    (project.site / "other").unlink()
    before = in_site(project, repository, "status", "--porcelain")
    repository.commit("Go on", page="two")
    with pytest.raises(BuildFailedError):
        project.deploy(buildCommand="touch other; exit 1")
    assert (project.read("page"), project.read("other")) == ("edited", None)
    assert in_site(project, repository, "status", "--porcelain") == before == "D other\nMM page"
    assert in_site(project, repository, "show", ":page") == "staged"


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_changes_that_git_was_told_not_to_see_are_set_aside_too(
    flag: str, project: Project, repository: Repository
) -> None:
    in_site(project, repository, "update-index", flag, "page")
    (project.site / "page").write_text("edited")
    repository.commit("Go on", page="two")
    assert project.deploy()["stashed"]["files"] == ["page"]
    assert project.read("page") == "two"


def test_what_a_failed_build_did_not_touch_stays_the_very_file(project: Project) -> None:
    (project.site / "kept.local").write_text("open in a program")
    (project.site / "run.local").mkdir()
    (project.site / "run.local" / "changed").write_text("one")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(project.site / "run.local" / "socket"))
        inode = (project.site / "kept.local").stat().st_ino
        with pytest.raises(BuildFailedError):
            project.deploy(buildCommand="echo two > run.local/changed; touch -d yesterday kept.local; exit 1")
        assert (project.site / "run.local" / "socket").is_socket()
    assert (project.site / "kept.local").stat().st_ino == inode
    assert project.read("run.local/changed") == "one"


def test_files_of_a_submodule_are_back_when_the_build_fails(project: Project, repository: Repository) -> None:
    inner = Repository(project.root / "inner")
    inner.commit("Inner", file="inner")
    repository.git("submodule", "--quiet", "add", f"file://{inner.folder}", "module")
    repository.commit("Add a module")
    project.deploy()
    in_site(project, repository, "submodule", "--quiet", "update", "--init")
    lure = project.root / "lured"
    script = project.root / "lure"
    script.write_text(f"#!/bin/sh\ntouch {lure}\n")
    script.chmod(0o755)
    in_site(project, repository, "-C", "module", "config", "core.fsmonitor", str(script))
    with pytest.raises(BuildFailedError):
        project.deploy(buildCommand="rm -r module; exit 1")
    assert project.read("module/file") == "inner"
    assert not lure.exists()


@pytest.mark.parametrize("harm", ["rm -r .git", "echo x > .git/index", "mv .git git; ln -s git .git"])
def test_a_build_that_breaks_the_repository_is_taken_back_too(
    harm: str, project: Project, repository: Repository
) -> None:
    (project.site / "page").write_text("edited")
    first = in_site(project, repository, "rev-parse", "HEAD")
    repository.commit("Go on", page="two")
    with pytest.raises(BuildFailedError, match=f"commit {first[:10]} and what was built from it are back"):
        project.deploy(buildCommand=f"{harm}; exit {int('index' in harm)}")
    assert project.read("page") == "edited"
    assert in_site(project, repository, "rev-parse", "HEAD") == first
    assert project.deploy()["stashed"]["files"] == ["page"]
    assert project.read("page") == "two"


@pytest.mark.parametrize("ends_with", [0, 1])
def test_a_build_that_puts_a_link_in_place_of_the_folder_harms_nothing_behind_it(
    ends_with: int, project: Project, repository: Repository
) -> None:
    project.deploy(buildCommand="echo built > dist.local")
    other = Repository(project.root / "other")
    other.commit("Other", page="other's")
    (other.folder / "own").write_text("other's")
    repository.commit("Go on", page="two")
    with pytest.raises(BuildFailedError, match="what was built from it are back"):
        project.deploy(buildCommand=f"cd .. && mv site moved && ln -s other site; exit {ends_with}")
    assert not project.site.is_symlink()
    assert (project.read("page"), project.read("dist.local")) == ("one", "built\n")
    assert [(other.folder / name).read_text() for name in ("page", "own")] == ["other's", "other's"]
    assert project.deploy()["changedFiles"] == ["page"]


def test_what_was_put_back_already_stays_when_that_is_cut_off(
    project: Project, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.deploy(buildCommand="echo built >> other")
    (project.site / "page").write_text("edited")
    repository.commit("Go on", page="two")
    with monkeypatch.context() as patch, pytest.raises(WorkerDiedError):
        patch.setattr(Journal, "close", die)
        project.deploy(buildCommand="rm page other; exit 1")
    with pytest.raises(BuildFailedError):
        project.deploy(buildCommand="exit 1")
    assert (project.read("page"), project.read("other")) == ("edited", "onebuilt\n")


def test_a_deploy_that_was_cut_off_when_all_was_done_tells_still_what_it_set_aside(
    project: Project, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = in_site(project, repository, "rev-parse", "HEAD")
    (project.site / "page").write_text("edited")
    second = repository.commit("Go on", page="two")
    with monkeypatch.context() as patch, pytest.raises(WorkerDiedError):
        patch.setattr(WorkingCopy, "_conclude", die)
        project.deploy(buildCommand="echo built >> other")
    for costs in (1, 1, 0):  # that it was told once is known to nobody if the worker dies before the job ends
        result = project.deploy_again(costs=costs, buildCommand="echo built >> other")
        assert (result["previousCommit"], result["commit"]) == (first, second)
        assert (result["changedFiles"], result["stashed"]["files"]) == (["page"], ["page"])
    assert project.read("other") == "onebuilt\n", "not built twice"
    assert project.deploy()["previousCommit"] == second, "the next job deploys"


@pytest.mark.parametrize("key", ["smudge", "clean", "process"])
def test_filters_in_the_working_copys_own_configuration_do_not_run(
    key: str, project: Project, repository: Repository
) -> None:
    lure = project.root / "lured"
    in_site(project, repository, "config", f"filter.ev.il.{key}", f"touch {lure}; cat")
    in_site(project, repository, "config", "filter.ev.il.required", "true")
    repository.commit("Lure", page="two", __gitattributes="* filter=ev.il\n")
    project.deploy()
    (project.site / "page").write_text("edited")
    assert project.deploy(buildCommand="true")["stashed"]["files"] == ["page"]
    assert project.read("page") == "two"
    assert not lure.exists()


@contextmanager
def project_on_a_small_disk(place: Path, children: ChildPool) -> Iterator[tuple[Project, Repository]]:
    """A project, and its repository with one commit, on a disk that is soon full."""
    with small_disk(place) as disk:
        repository = Repository(disk / "repo")
        repository.commit("Begin", page="one", __gitignore="dist\n")
        yield Project(disk, children), repository


def test_a_disk_without_room_for_the_copy_leaves_everything_as_it_was(tmp_path: Path, children: ChildPool) -> None:
    with project_on_a_small_disk(tmp_path / "disk", children) as (project, _):
        project.deploy(buildCommand="mkdir dist; head -c 4500000 /dev/zero > dist/large")
        (project.site / "page").write_text("edited")
        with pytest.raises(NoSpaceError, match="no room for a copy"):
            project.deploy(buildCommand="rm dist/large")
        assert (project.site / "dist" / "large").stat().st_size == 4_500_000
        assert project.read("page") == "edited"
        assert not (project.root / ".site.deploy" / "snapshot").exists()


def test_a_build_that_fills_the_disk_is_taken_back(tmp_path: Path, children: ChildPool) -> None:
    with project_on_a_small_disk(tmp_path / "disk", children) as (project, repository):
        project.deploy(buildCommand="mkdir dist; echo good > dist/file")
        repository.commit("Go on", page="two")
        with pytest.raises(BuildFailedError, match="what was built from it are back"):
            project.deploy(buildCommand="echo bad > dist/file; cat /dev/zero > filling")
        assert (project.read("page"), project.read("dist/file")) == ("one", "good\n")
        assert not (project.site / "filling").exists()


def test_what_a_full_disk_keeps_away_is_back_when_there_is_room(tmp_path: Path, children: ChildPool) -> None:
    with project_on_a_small_disk(tmp_path / "disk", children) as (project, repository):
        first = project.deploy()["commit"]
        repository.commit("Go on", page="two")
        with pytest.raises(BuildFailedError, match="is not back, the next deploy tries again"):
            project.deploy(buildCommand="cat /dev/zero > ../filling; exit 1")
        with pytest.raises(NoSpaceError, match="git checkout failed"):
            project.deploy()
        (project.root / "filling").unlink()
        assert project.deploy()["previousCommit"] == first


def test_files_in_use_stay_where_a_commit_has_other_folders(project: Project, repository: Repository) -> None:
    repository.commit("Have a folder", **{"old/page": "one"})
    project.deploy()
    (project.site / "new").mkdir()
    in_use = [project.site / "old" / "db.local", project.site / "new" / "db.local"]
    for path in in_use:
        path.write_text("in use")
    inodes = [path.stat().st_ino for path in in_use]
    repository.git("mv", "old", "new")
    repository.commit("Have another")
    with pytest.raises(BuildFailedError):
        project.deploy(buildCommand="echo more > made; exit 1")
    assert [path.stat().st_ino for path in in_use] == inodes
    assert (project.read("old/page"), project.read("new/page"), project.read("made")) == ("one", None, None)


def test_a_working_copy_without_a_commit_is_left_alone(tmp_path: Path, children: ChildPool) -> None:
    Repository(tmp_path / "repo").commit("Begin", page="one")
    site = Repository(tmp_path / "site")
    (site.folder / "page").write_text("mine")
    with pytest.raises(BadInputError, match="without a commit"):
        Project(tmp_path, children).deploy()
    assert sorted(path.name for path in site.folder.iterdir()) == [".git", "page"]
    assert (site.folder / "page").read_text() == "mine"
