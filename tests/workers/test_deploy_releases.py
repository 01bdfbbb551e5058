"""Deploys into fresh folders: nothing is switched before it is well, and the way back is one step."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workers._deploys import Project
from tests.workers._repositories import Repository
from workers import _deploy_releases
from workers._deploy_releases import Releases
from workers.deploy import deploy
from workplatform.children import ChildPool
from workplatform.context import JobContext
from workplatform.errors import BadInputError, BuildFailedError, HealthCheckError
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
    repository.commit("Begin", page="one")
    return repository


@pytest.fixture
def project(repository: Repository, children: ChildPool) -> Project:
    """A project whose repository is there."""
    return Project(repository.folder.parent, children)


class WorkerDiedError(BaseException):
    """A worker has died here."""


def die(*_: object) -> None:
    raise WorkerDiedError


def called_here(_job: JobContext, function: Any, *words: Any) -> Any:
    return function(*words)


def removed_in_part(release: Path) -> None:
    (release / "page").unlink()
    raise WorkerDiedError


def current(project: Project) -> str:
    return (project.site / "current").readlink().name


def releases(project: Project) -> list[str]:
    return sorted(path.name for path in (project.site / "releases").iterdir())


def test_a_release_is_built_in_a_fresh_folder_and_becomes_the_current_one(
    project: Project, repository: Repository
) -> None:
    first = project.deploy(strategy="releases", buildCommand="cp page built; echo $RELEASE > name")
    assert first["release"] == current(project)
    assert project.read("current/built") == "one"
    assert project.read("current/name") == f"{current(project)}\n"
    second = repository.commit("Go on", page="two")
    result = project.deploy(strategy="releases")
    assert (result["commit"], result["previousCommit"]) == (second, first["commit"])
    assert (result["changedFiles"], result["release"], result["rolledBack"]) == (["page"], current(project), False)
    assert (project.read("current/page"), project.read("current/built")) == ("two", None)
    assert project.stages == ["fetching", "checking out", "switching"]


def test_a_release_that_cannot_be_built_or_is_not_well_never_shows(project: Project, repository: Repository) -> None:
    first = project.deploy(strategy="releases")["release"]
    repository.commit("Break it", page="two")
    check = {"url": "http://127.0.0.1:9/{release}", "patience": 0.2, "interval": 0.1}
    with pytest.raises(BuildFailedError, match=f"{first} is still the current release"):
        project.deploy(strategy="releases", buildCommand="exit 1")
    with pytest.raises(HealthCheckError, match=f"{first} is still the current release"):
        project.deploy(strategy="releases", buildCommand="true", healthCheck=check)
    assert project.stages == ["fetching", "checking out", "building", "checking"]
    assert (releases(project), project.read("current/page")) == ([first], "one")


@pytest.mark.parametrize(
    "command",
    ['rm -rf "$PWD"', 'rm -rf "$PWD" && ln -s / "$PWD"', "mv ../../releases ../../other && ln -s other ../../releases"],
)
def test_a_build_that_does_away_with_its_own_folder_has_failed(project: Project, command: str) -> None:
    first = project.deploy(strategy="releases")
    with pytest.raises(BuildFailedError, match=r"replaced its own folder.* is still the current release"):
        project.deploy(strategy="releases", buildCommand=command)
    assert (current(project), releases(project)) == (first["release"], [first["release"]])


def test_a_build_that_puts_a_folder_in_place_of_the_link_has_failed(project: Project) -> None:
    with pytest.raises(BuildFailedError, match="in place of the link `current`"):
        project.deploy(strategy="releases", buildCommand="mkdir ../../current")
    assert releases(project) == []


def test_old_releases_go_and_the_current_one_stays(project: Project, repository: Repository) -> None:
    made = []
    for number in range(4):
        repository.commit(f"Change {number}", page=str(number))
        made.append(project.deploy(strategy="releases", keepReleases=2)["release"])
    assert releases(project) == sorted(made[-2:])
    assert current(project) == made[-1]


def test_a_rollback_goes_back_step_by_step_and_forward_again_by_a_deploy(
    project: Project, repository: Repository
) -> None:
    first = project.deploy(strategy="releases")
    repository.commit("Go on", page="two")
    second = project.deploy(strategy="releases")
    back = project.deploy(rollback=True, strategy="releases")
    assert (back["release"], back["commit"], back["rolledBack"]) == (first["release"], first["commit"], True)
    assert (back["previousCommit"], back["branch"], back["subject"]) == (second["commit"], "main", "Begin")
    assert project.read("current/page") == "one"
    with pytest.raises(BadInputError, match="no earlier release"):
        project.deploy(rollback=True, strategy="releases")
    repository.commit("Mend it", page="three")
    project.deploy(strategy="releases")
    assert project.deploy(rollback=True, strategy="releases")["release"] == first["release"], "not the broken one"


def test_a_rollback_goes_back_from_a_release_that_somebody_removed(project: Project, repository: Repository) -> None:
    first, second, third = (
        project.deploy(strategy="releases", commit=repository.commit("Go on"), branch=None) for _ in range(3)
    )
    shutil.rmtree((project.site / "current").resolve())
    back = project.deploy(strategy="releases", rollback=True)
    assert (back["release"], back["previousCommit"]) == (second["release"], third["commit"])
    assert project.deploy(strategy="releases", rollback=True)["release"] == first["release"]


def test_why_a_rollback_knows_no_way_back_is_told(project: Project, repository: Repository) -> None:
    for _ in range(2):
        project.deploy(strategy="releases", commit=repository.commit("Go on"), branch=None)
    link = project.site / "current"
    link.unlink()
    with pytest.raises(BadInputError, match="site/current is not there"):
        project.deploy(strategy="releases", rollback=True)
    link.symlink_to("../elsewhere")
    with pytest.raises(BadInputError, match=r"site/current leads to \.\./elsewhere, which is no release"):
        project.deploy(strategy="releases", rollback=True)


@pytest.mark.parametrize("step", ["_conclude", "_result"])
def test_an_attempt_that_was_cut_off_after_the_switch_is_ended_and_not_done_again(
    step: str, project: Project, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [project.deploy(strategy="releases", commit=repository.commit("Go on"), branch=None) for _ in range(3)]
    for more, wanted in (({"rollback": True}, made[1]), ({"commit": made[0]["commit"]}, made[0])):
        with monkeypatch.context() as patch, pytest.raises(WorkerDiedError):
            patch.setattr(Releases, step, die)
            project.deploy(strategy="releases", **more)
        switched, there = current(project), releases(project)
        result = project.deploy_again(strategy="releases", **more)
        assert (result["commit"], result["release"]) == (wanted["commit"], switched)
        assert (current(project), releases(project)) == (switched, there)
    assert result["previousCommit"] == made[1]["commit"]


@pytest.mark.parametrize("costs", [1, 0], ids=["its worker died", "its worker was stopped"])
def test_an_attempt_that_could_not_tell_its_end_is_told_and_not_done_again(
    costs: int, project: Project, repository: Repository
) -> None:
    made = [project.deploy(strategy="releases", commit=repository.commit("Go on"), branch=None) for _ in range(4)]
    back = project.deploy(strategy="releases", rollback=True)
    again = project.deploy_again(costs=costs, strategy="releases", rollback=True)
    assert again | {"duration": 0} == back | {"duration": 0}
    assert current(project) == made[2]["release"], "back once, not twice"
    told = project.deploy(strategy="releases")
    again = project.deploy_again(costs=costs, strategy="releases")
    assert again | {"duration": 0} == told | {"duration": 0}
    assert project.deploy(strategy="releases")["previousCommit"] == told["commit"], "told to that job alone"


def test_a_job_that_is_retried_later_deploys_what_the_branch_is_then(project: Project, repository: Repository) -> None:
    project.deploy(strategy="releases")
    commit = repository.commit("Go on", page="two")
    assert project.deploy_again(costs=0, strategy="releases")["commit"] == commit
    assert project.deploy_again(costs=0, strategy="releases", buildCommand="touch built")["commit"] == commit
    assert project.read("current/built") == "", "asked for something else, it does that"


def test_a_release_that_was_left_by_hand_stays_though_it_was_the_last_to_be_made(
    project: Project, repository: Repository
) -> None:
    first = project.deploy(strategy="releases")["release"]
    repository.commit("Go on", page="two")
    second = project.deploy(strategy="releases")["release"]
    (project.site / "current").unlink()
    (project.site / "current").symlink_to(f"releases/{first}")
    third = project.deploy(strategy="releases")["release"]
    assert releases(project) == sorted([first, second, third])


def test_a_release_that_was_removed_in_part_is_never_gone_back_to(
    project: Project, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = project.deploy(strategy="releases")["release"]
    repository.commit("Go on", page="two")
    with monkeypatch.context() as patch, pytest.raises(WorkerDiedError):
        patch.setattr(_deploy_releases, "forget", removed_in_part)
        patch.setattr(JobContext, "isolated", called_here)
        project.deploy(strategy="releases", keepReleases=1)
    assert releases(project) == sorted([first, current(project)])
    with pytest.raises(BadInputError, match="no earlier release"):
        project.deploy(strategy="releases", rollback=True)
    assert project.read("current/page") == "two"


def test_what_is_left_out_is_told_and_links_are_not_followed(project: Project, repository: Repository) -> None:
    (project.root / "attributes").write_text("* filter=lure\n")
    (repository.folder / ".gitattributes").symlink_to("../../../attributes")
    repository.commit("Lure")
    project.deploy(strategy="releases")
    assert not any("filters" in line for line in project.lines)
    (repository.folder / ".gitattributes").unlink()
    repository.commit("Ask", __gitattributes="*.bin filter=lfs\n")
    project.deploy(strategy="releases")
    assert any("filters" in line for line in project.lines)


def test_a_rollback_needs_nothing_of_the_store(project: Project, repository: Repository) -> None:
    first = project.deploy(strategy="releases")
    repository.commit("Go on", page="two")
    project.deploy(strategy="releases")
    shutil.rmtree(project.root / ".site.deploy" / "repo.git")
    back = project.deploy(strategy="releases", rollback=True)
    assert (back["commit"], back["subject"], project.read("current/page")) == (first["commit"], "", "one")


def test_folders_that_are_not_ours_are_left_alone(project: Project) -> None:
    (project.site / "current").mkdir(parents=True)
    with pytest.raises(BadInputError, match="current is no link"):
        project.deploy(strategy="releases")
    with pytest.raises(BadInputError, match="current is no link; move it away"):
        project.deploy(rollback=True, strategy="releases")
    (project.root / "file").write_text("mine")
    with pytest.raises(BadInputError, match="cannot be made: not a directory"):
        project.deploy(strategy="releases", directory="file")


def test_nothing_is_written_through_a_link_of_the_repository(project: Project, repository: Repository) -> None:
    (project.root / "outside").mkdir()
    (repository.folder / "link").symlink_to("../../../outside")
    repository.commit("Add a link")
    project.deploy(strategy="releases")
    repository.git("rm", "--quiet", "link")
    repository.commit("Make it a folder", **{"link/file": "x"})
    project.deploy(strategy="releases")
    assert list((project.root / "outside").iterdir()) == []
