"""Deploys in place: real repositories, real builds, and everything back where it was when one fails."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers._deploys import Project
from tests.workers._repositories import Repository
from workers import _build
from workplatform.children import ChildPool
from workplatform.errors import (
    BadInputError,
    BuildFailedError,
    ChildCrashedError,
    HealthCheckError,
    JobError,
    PathForbiddenError,
    SourceRefusedError,
    UnexpectedContentError,
)

# It tells its process number in a file beside the site.
DAEMON = "env -i setsid sh -c 'echo $$ > ../daemon; exec sleep 600' & until [ -s ../daemon ]; do :; done"
HOARDER = f"exec {sys.executable} -c 'import time; held = b\"1\" * (200 << 20); time.sleep(60)'"


@pytest.fixture(scope="module")
def children() -> Iterator[ChildPool]:
    """Warm children for all tests of the module."""
    pool = ChildPool(preload=("workers._git_reading", "workers._deploy_snapshot"))
    yield pool
    pool.close()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with one commit."""
    repository = Repository(tmp_path / "repo")
    repository.commit("Begin", page__html="one", __gitignore="dist\n")
    return repository


@pytest.fixture
def project(tmp_path: Path, repository: Repository, children: ChildPool) -> Project:
    """A project whose repository is there."""
    assert repository.folder == tmp_path / "repo"
    return Project(tmp_path, children)


def test_the_first_deploy_checks_out_and_builds(project: Project, repository: Repository) -> None:
    result = project.deploy(buildCommand="mkdir dist && cp page.html dist/ && echo built")
    assert result["commit"] == repository.git("rev-parse", "HEAD")
    assert (result["previousCommit"], result["branch"], result["changedFiles"]) == (None, "main", [])
    assert (result["author"], result["subject"]) == ("Ada Lovelace <ada@example.com>", "Begin")
    assert (result["release"], result["rolledBack"], result["stashed"]) == (None, False, None)
    assert project.read("dist/page.html") == "one"
    assert "built" in project.lines


def test_the_next_deploy_says_what_changed(project: Project, repository: Repository) -> None:
    first = project.deploy()["commit"]
    second = repository.commit("Go on", page__html="two", other="new")
    result = project.deploy()
    assert (result["commit"], result["previousCommit"]) == (second, first)
    assert (result["changedFiles"], result["changedFilesTotal"]) == (["other", "page.html"], 2)
    assert (project.read("page.html"), project.read("other")) == ("two", "new")


def test_a_force_pushed_branch_is_deployed_as_it_is_now(project: Project, repository: Repository) -> None:
    project.deploy()
    repository.git("commit", "--amend", "--quiet", "--message", "Begin anew")
    assert project.deploy()["subject"] == "Begin anew"


def test_what_a_killed_fetch_had_received_is_removed_by_the_next(project: Project, repository: Repository) -> None:
    project.deploy()
    objects = project.root / ".site.deploy" / "repo.git" / "objects"
    (objects / "pack" / "tmp_pack_2b3xYz").write_bytes(b"PACK")
    (objects / "tmp_objdir-incoming-1aB" / "pack").mkdir(parents=True)
    commit = repository.commit("Go on", page="two")
    assert project.deploy()["commit"] == commit
    assert list(objects.rglob("tmp_*")) == []


def test_commits_and_tags_are_deployed_exactly(project: Project, repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "--annotate", "v1", "--message", "one")
    repository.commit("Go on", page__html="two")
    for wanted in ({"commit": first}, {"commit": first[:9].upper()}, {"tag": "v1"}):
        result = project.deploy(**wanted)
        assert (result["commit"], result["branch"]) == (first, None)
        assert project.read("page.html") == "one"


@pytest.mark.parametrize("wanted", [{"branch": "no"}, {"tag": "no"}, {"commit": "0123456789"}, {"commit": "01" * 20}])
def test_what_the_repository_does_not_have_is_refused(project: Project, wanted: dict[str, str]) -> None:
    project.deploy()
    with pytest.raises(SourceRefusedError, match=r"commit|ref|not our"):
        project.deploy(**wanted)
    assert project.read("page.html") == "one"


def test_a_failed_build_leaves_the_previous_commit_and_what_was_built(project: Project, repository: Repository) -> None:
    first = project.deploy(buildCommand="mkdir -p dist/deep && echo good > dist/deep/file && ln -s deep dist/link")
    repository.commit("Break it", page__html="broken", added="new", dist2="x")
    with pytest.raises(BuildFailedError, match=rf"code 3: no way; commit {first['commit'][:10]} and .* are back"):
        project.deploy(buildCommand="echo bad > dist/deep/file; touch left; rm -r dist/link; echo no way >&2; exit 3")
    assert (project.read("page.html"), project.read("dist/deep/file"), project.read("added")) == ("one", "good\n", None)
    assert (project.site / "dist" / "link").is_symlink()
    assert not (project.site / "left").exists()
    assert repository.git("-C", str(project.site), "rev-parse", "HEAD") == first["commit"]
    assert repository.git("-C", str(project.site), "status", "--porcelain") == ""


def test_a_branch_that_was_checked_out_is_so_again_when_the_build_fails(
    project: Project, repository: Repository
) -> None:
    first = project.deploy()
    repository.git("-C", str(project.site), "checkout", "--quiet", "-b", "mine")
    repository.commit("Break it", page__html="broken")
    with pytest.raises(BuildFailedError):
        project.deploy(buildCommand="exit 1")
    assert repository.git("-C", str(project.site), "symbolic-ref", "HEAD") == "refs/heads/mine"
    assert repository.git("-C", str(project.site), "rev-parse", "HEAD") == first["commit"]
    assert repository.git("-C", str(project.site), "status", "--porcelain") == ""


def test_a_failed_first_deploy_leaves_nothing(project: Project) -> None:
    with pytest.raises(BuildFailedError, match="nothing was deployed before"):
        project.deploy(buildCommand="exit 1")
    assert not project.site.exists()


def test_local_changes_are_set_aside_and_named(project: Project, repository: Repository) -> None:
    project.deploy(buildCommand="echo x > made-by-build; echo y >> page.html")
    (project.site / "page.html").write_text("edited by hand")
    (project.site / "new by hand").write_text("precious")
    repository.commit("Go on", page__html="two")
    stashed = project.deploy()["stashed"]
    assert sorted(stashed["files"]) == ["new by hand", "page.html"]
    assert (project.read("page.html"), project.read("new by hand"), project.read("made-by-build")) == (
        "two",
        None,
        "x\n",
    )
    assert repository.git("-C", str(project.site), "show", f"{stashed['commit']}:page.html") == "edited by hand"
    assert repository.git("-C", str(project.site), "show", f"{stashed['commit']}^3:new by hand") == "precious"


def test_local_changes_are_back_when_the_build_fails(project: Project, repository: Repository) -> None:
    project.deploy()
    (project.site / "page.html").write_text("edited by hand")
    (project.site / "by hand").write_text("precious")
    repository.commit("Go on", page__html="two")
    with pytest.raises(BuildFailedError, match="local changes are kept"):
        project.deploy(buildCommand="exit 1")
    assert (project.read("page.html"), project.read("by hand")) == ("edited by hand", "precious")


def test_a_folder_with_something_else_in_it_is_left_alone(project: Project) -> None:
    project.site.mkdir()
    (project.site / "mine").write_text("mine")
    with pytest.raises(BadInputError, match="no working copy"):
        project.deploy()
    assert [path.name for path in project.site.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("command", "bounds", "told"),
    [
        ("kill -SEGV $$", {}, r"code 139 \(signal 11\)"),
        ("yes ''", {"buildOutput": 10_000}, "printed more than 10000"),
        ("head -c 3000000 /dev/zero", {"buildOutput": 2_900_000}, "printed more than 2900000"),
        ("sleep 60", {"buildTimeout": 0.3}, "more than 0.3 seconds"),
        ("yes", {"buildOutput": 10_000}, "printed more than 10000"),
        (HOARDER, {"buildMemory": 64 << 20}, "bytes of memory"),
    ],
)
def test_a_build_is_bounded(project: Project, command: str, bounds: dict[str, float], told: str) -> None:
    with pytest.raises(BuildFailedError, match=told):
        project.deploy(buildCommand=command, **bounds)


def test_a_build_is_a_process_group_of_its_own(project: Project) -> None:
    project.deploy(buildCommand="trap : TERM; sleep 60 & kill 0; echo built > other")
    assert project.read("other") == "built\n", "scripts end so what they started"
    with pytest.raises(BuildFailedError, match=r"code 137 \(signal 9\)"):
        project.deploy(buildCommand="kill -9 0")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what processes share")
def test_what_the_processes_of_a_build_share_counts_once(project: Project) -> None:
    (project.root / "share.py").write_text(
        "import os, time\n"
        "held = os.urandom(64 << 20)\n"
        "children = [child for child in (os.fork() for _ in range(2)) if child]\n"
        "time.sleep(1.5)  # it is measured twice a second\n"
    )
    project.deploy(buildCommand=f"{sys.executable} ../share.py", buildMemory=160 << 20)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_build_whose_child_of_the_worker_is_killed_leaves_no_daemon(project: Project) -> None:
    with pytest.raises(ChildCrashedError):
        project.deploy(buildCommand=f"{DAEMON}; kill -9 $(cut -d ' ' -f 4 /proc/$PPID/stat); sleep 60")
    assert not Path("/proc", (project.root / "daemon").read_text().strip()).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_build_that_stops_its_runner_is_bounded_and_leaves_no_daemon(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_build, "_RUNNER_ENDS_WITHIN_S", 0.3)
    with pytest.raises(BuildFailedError, match="more than 2 seconds"):
        project.deploy(buildCommand=f"{DAEMON}; kill -STOP $PPID; sleep 60", buildTimeout=2)
    assert not Path("/proc", (project.root / "daemon").read_text().strip()).exists()


def test_a_build_has_a_clean_environment_and_a_home_that_lasts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "hidden")
    project.deploy(buildCommand="env > dist.env; echo cached > $HOME/cache", env={"NODE_ENV": "production"})
    names = {line.partition("=")[0] for line in (project.read("dist.env") or "").splitlines()}
    assert names - {"LC_ALL", "LANG", "TMPDIR", "TZ", "PWD", "OLDPWD", "SHLVL", "_"} == {
        "PATH",
        "HOME",
        "NODE_ENV",
        "WORKPLATFORM_BUILD",
    }
    project.deploy(buildCommand="cat $HOME/cache")
    assert "cached" in project.lines


def test_a_health_check_that_never_turns_green_takes_the_deploy_back(project: Project, repository: Repository) -> None:
    first = project.deploy()["commit"]
    repository.commit("Go on", page__html="two")
    check = {"url": "http://127.0.0.1:9/", "patience": 0.3, "interval": 0.1}
    with pytest.raises(HealthCheckError, match=f"within 0.3 s.*{first[:10]}"):
        project.deploy(healthCheck=check)
    assert project.read("page.html") == "one"


def test_a_build_that_damages_the_journal_is_taken_back_and_the_next_deploy_says_what_to_do(
    project: Project, repository: Repository
) -> None:
    project.deploy()
    repository.commit("Go on", page__html="two")
    with pytest.raises(BuildFailedError, match="are back"):
        project.deploy(buildCommand="echo harm > ../.site.deploy/journal.json; exit 1")
    assert project.read("page.html") == "one"
    (project.root / ".site.deploy" / "journal.json").write_text("harm")
    with pytest.raises(BadInputError, match=r"journal\.json is damaged"):
        project.deploy()


def test_what_cannot_be_put_back_is_said(project: Project, repository: Repository) -> None:
    project.deploy()
    repository.commit("Go on", page__html="two")

    with pytest.raises(BuildFailedError, match="code 1; what was there before is not back, the next deploy"):
        project.deploy(buildCommand="rm -rf .git ../.site.deploy/repo.git; exit 1")


def test_a_repository_of_the_newer_object_format_is_refused_for_good(project: Project) -> None:
    Repository(project.root / "newer", "--object-format=sha256").commit()

    with pytest.raises(UnexpectedContentError, match="sha256"):
        project.deploy(repoUrl="newer")


def test_hooks_filters_and_submodules_of_the_repository_are_inert(project: Project, repository: Repository) -> None:
    other = Repository(project.root / "other")
    other.commit("Inner", inner="inner")
    repository.git("submodule", "--quiet", "add", f"file://{other.folder}", "module")
    repository.commit("Lure", __gitattributes="* filter=evil\n")
    project.deploy()
    (project.site / ".git" / "hooks").mkdir(exist_ok=True)
    hook = project.site / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {project.root}/hooked\n")
    hook.chmod(0o755)
    repository.commit("Again", page__html="two")
    project.deploy()
    assert project.read("page.html") == "two"
    assert not (project.root / "hooked").exists()
    assert list((project.site / "module").iterdir()) == []
    assert any("submodules" in line for line in project.lines)
    assert any("filters" in line for line in project.lines)


def test_a_repository_outside_the_roots_is_refused(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = Repository(tmp_path_factory.mktemp("outside") / "repo")
    outside.commit("Hidden", secret="hidden")  # noqa: S106 - a file's name
    for url in (str(outside.folder), f"file://{outside.folder}"):
        with pytest.raises(JobError, match="outside the folders"):
            project.deploy(repoUrl=url)


def test_a_repository_with_parts_outside_the_roots_is_refused(
    project: Project, repository: Repository, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = Repository(tmp_path_factory.mktemp("outside") / "repo")
    hidden = outside.commit("Hidden", secret="hidden")  # noqa: S106 - a file's name
    for lure in ("gitdir", "commondir", "alternates", "link"):
        folder = project.root / lure
        shutil.copytree(repository.folder, folder)
        inner = folder / ".git"
        (inner / "refs" / "heads" / "main").write_text(f"{hidden}\n")
        if lure == "gitdir":
            shutil.rmtree(inner)
            inner.write_text(f"gitdir: {outside.folder}/.git\n")
        elif lure == "commondir":
            (inner / "commondir").write_text(f"{outside.folder}/.git\n")
        elif lure == "alternates":
            (inner / "objects" / "info" / "alternates").write_text(f"# kept\n{outside.folder}/.git/objects\n")
        else:
            shutil.rmtree(inner / "objects" / "pack")
            (inner / "objects" / "pack").symlink_to(outside.folder / ".git" / "objects" / "pack")
        with pytest.raises(PathForbiddenError, match="outside the folders"):
            project.deploy(repoUrl=lure)


def test_a_shallow_repository_and_a_linked_worktree_are_deployed(project: Project, repository: Repository) -> None:
    repository.commit("Go on", page__html="two")
    repository.git("clone", "--quiet", "--depth", "1", f"file://{repository.folder}", str(project.root / "shallow"))
    repository.git("worktree", "add", "--quiet", "--detach", str(project.root / "tree"))
    for url in ("shallow", "tree"):
        assert project.deploy(repoUrl=url, directory=f"from-{url}")["subject"] == "Go on"


def test_a_commit_that_the_working_copy_calls_another_is_deployed_as_it_is(
    project: Project, repository: Repository
) -> None:
    first = project.deploy()["commit"]
    second = repository.commit("Go on", page__html="two")
    repository.git("-C", str(project.site), "fetch", "--quiet", str(repository.folder), "main")
    repository.git("-C", str(project.site), "replace", second, first)
    repository.git("-C", str(project.site), "config", "--add", "remote.origin.url", "another")
    assert project.deploy()["subject"] == "Go on"
    assert project.read("page.html") == "two"


def test_names_that_are_no_text_survive(project: Project, repository: Repository) -> None:
    project.deploy()
    names = [b"sp ace", b"new\nline", b"\xff\xfe", b'quo"te', b"-dash", b":(glob)star*"]
    for name in names:
        (repository.folder / name.decode("utf-8", "surrogateescape")).write_text("x")
    repository.commit("Awkward")
    assert project.deploy()["changedFilesTotal"] == len(names)
    for name in names:
        path = project.site / name.decode("utf-8", "surrogateescape")
        path.write_text("by hand")
    assert len(project.deploy()["stashed"]["files"]) == len(names)
