"""Deploys by real workers: cancelled, killed with kill -9, and ten at once."""

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.fleet import Fleet
from tests.waiting import eventually
from tests.workers._repositories import Repository

# Leaves a daemon of its own session behind, in the background, and hangs.
HANG = "(setsid sh -c 'sleep 601 & sleep 602' &) ; sleep 603"


@pytest.fixture
def repository(fleet: Fleet) -> Repository:
    """A repository with one commit."""
    repository = Repository(fleet.folder / "repo")
    repository.commit("Begin", page="one", __gitignore="dist\n")
    return repository


def submit(fleet: Fleet, **more: Any) -> str:
    payload = {"projectId": "p", "repoUrl": "repo", "branch": "main", "directory": "site", **more}
    return fleet.submit("deploy", payload, maxRetries=more.pop("maxRetries", 3))


def sleepers(folder: Path) -> list[psutil.Process]:
    """Return the build's processes that live."""
    found = []
    for process in psutil.process_iter(["name", "cmdline", "status"]):
        if process.info["name"] == "sleep" and process.info["status"] != psutil.STATUS_ZOMBIE:
            try:
                if process.environ().get("WORKPLATFORM_BUILD", "").startswith(str(folder)):
                    found.append(process)
            except psutil.Error:
                continue
    return found


def deployed(fleet: Fleet) -> tuple[str | None, str | None]:
    files = (fleet.folder / "site" / "page", fleet.folder / "site" / "dist" / "file")
    page, built = (file.read_text() if file.exists() else None for file in files)
    return page, built


def test_cancelling_ends_a_builds_daemons_and_brings_back_what_was_there(fleet: Fleet, repository: Repository) -> None:
    fleet.worker("deploy")
    assert fleet.wait(submit(fleet, buildCommand="mkdir dist; echo good > dist/file"))["status"] == "completed"
    repository.commit("Go on", page="two")
    job_id = submit(fleet, buildCommand=f"echo bad > dist/file; {HANG}")
    eventually(lambda: len(sleepers(fleet.folder)) == 3)
    assert deployed(fleet) == ("two", "bad\n")
    assert fleet.platform.service.cancel(job_id) == "cancelled"
    eventually(lambda: sleepers(fleet.folder) == [])
    eventually(lambda: deployed(fleet) == ("one", "good\n"))
    lines = eventually(lambda: [line.text for line in fleet.platform.service.logs(job_id) if " are back" in line.text])
    assert lines[0].startswith("commit ")


def test_a_worker_that_is_killed_takes_its_build_along_and_the_next_attempt_begins_where_it_was(
    fleet: Fleet, repository: Repository
) -> None:
    fleet.start("scheduler")
    doomed = fleet.worker("deploy")
    first = fleet.wait(submit(fleet, buildCommand="mkdir dist; echo good > dist/file"))["result"]["commit"]
    repository.commit("Go on", page="two")
    command = f"echo bad > dist/file; touch left; test -e $HOME/again && exit 1; touch $HOME/again; {HANG}"
    job_id = submit(fleet, buildCommand=command)
    eventually(lambda: len(sleepers(fleet.folder)) == 3)
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.wait()
    eventually(lambda: sleepers(fleet.folder) == [])
    assert deployed(fleet) == ("two", "bad\n")
    fleet.worker("deploy")
    job = fleet.wait(job_id)
    assert (job["status"], job["errorCode"], job["attempts"]) == ("failed", "build_failed", 2)
    assert f"commit {first[:10]} and what was built from it are back" in job["error"]
    assert deployed(fleet) == ("one", "good\n")
    assert not (fleet.folder / "site" / "left").exists()
    assert any("cut off" in line.text for line in fleet.platform.service.logs(job_id))


def test_of_ten_deploys_at_once_the_newest_is_what_stays(fleet: Fleet, repository: Repository) -> None:
    fleet.start("scheduler")
    for node in ("one", "two"):
        fleet.worker("deploy", NODE_NAME=node)
    commits = [repository.commit(f"Change {number}", page=str(number)) for number in range(10)]
    jobs = [submit(fleet, branch=None, commit=commit) for commit in commits]
    statuses = [fleet.wait(job_id)["status"] for job_id in jobs]
    assert statuses[-1] == "completed"
    assert set(statuses) <= {"completed", "cancelled"}
    assert (fleet.folder / "site" / "page").read_text() == "9"
