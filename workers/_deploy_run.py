"""How a deploy goes, whatever its strategy: one at a time in its folder, and first what one before was cut off in."""

import time
from pathlib import Path

from workers._deploy_copy import WorkingCopy
from workers._deploy_models import DeployPayload, DeployResult
from workers._deploy_place import Place
from workers._deploy_releases import Releases
from workers._git import Git, git_for
from workers._git_fetch import fetch
from workers._git_names import remote_of
from workplatform.context import JobContext


def run_deploy(payload: DeployPayload, job: JobContext) -> DeployResult:
    """Deploy; raises JobError."""
    started = time.monotonic()
    place = Place(job.place(payload.directory))
    place.prepare()
    with place.locked(job.check_cancelled, on_wait=lambda: job.log("another deploy still ends in this folder")):
        result = _deploy(job, _git(job, place, payload), place, payload)
    job.progress(100, f"{result.commit[:10]} {result.subject}"[:200])
    return result.model_copy(update={"duration": round((time.monotonic() - started) * 1000)})


def _deploy(job: JobContext, git: Git, place: Place, payload: DeployPayload) -> DeployResult:
    cut_off = Releases if "release" in (place.journal.read() or {}) else WorkingCopy
    done = cut_off(job, git, place, payload).recover()
    if done is not None:
        return done
    strategy = (Releases if payload.strategy == "releases" else WorkingCopy)(job, git, place, payload)
    if payload.rollback and isinstance(strategy, Releases):
        return strategy.roll_back()
    job.stage("fetching")
    return strategy.deploy(fetch(job, git, place.repository, payload))


def _git(job: JobContext, place: Place, payload: DeployPayload) -> Git:
    safe: list[Path] = [place.directory, place.directory / ".git", place.repository]
    if payload.repo_url and (remote := remote_of(payload.repo_url)).scheme == "file":
        folder = job.place(remote.address)
        safe += [folder, folder / ".git"]
    return git_for(job, safe=safe)
