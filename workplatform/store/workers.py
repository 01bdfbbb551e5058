"""The register of workers: who lives, what they serve and what they run, as they announced it last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from workplatform.clock import CLOCK
from workplatform.store.connection import Scripts
from workplatform.store.records import moment


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a worker process says about itself; `slots` are its own, `node_slots` bound all workers of its node."""

    name: str
    node: str
    host: str
    pid: int
    version: str
    queues: Sequence[str]
    slots: int
    node_slots: int
    is_draining: bool
    cores: int
    cpu_percent: float
    memory_bytes: int
    load: Sequence[float]
    free_scratch_bytes: int


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that a worker runs, as its record says."""

    id: str
    type: str
    progress: float
    stage: str | None
    started_at: datetime


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker whose announcement stands."""

    id: str
    about: Announcement
    started_at: datetime
    seen_at: datetime
    jobs: Sequence[RunningJob]


class WorkerRegister:
    """Announcements that expire. Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def announce(
        self,
        worker_id: str,
        about: Announcement,
        *,
        attempts: Sequence[tuple[str, int]] = (),
        age: timedelta = timedelta(0),
        lifetime: timedelta,
    ) -> bool:
        """Note that a worker lives, until the lifetime is over; its queues are served unless it drains.

        Returns whether a job of its first queue waits and could be claimed on its node, whatever the worker runs.
        """
        running = " ".join(f"{job_id}:{fence}" for job_id, fence in attempts)
        takes_jobs = int(not about.is_draining)
        note = (orjson.dumps(about), running, _ms(age), about.node, about.node_slots)
        now, has_claimable = self._scripts("announce", worker_id, _ms(lifetime), takes_jobs, *note, *about.queues)
        CLOCK.learn(int(now))
        return bool(has_claimable)

    def withdraw(self, worker_id: str, queues: Sequence[str]) -> None:
        """Forget a worker at once."""
        self._scripts("withdraw", worker_id, *queues)

    def everyone(self) -> list[LiveWorker]:
        """Return the live workers, by id, with the jobs that they run."""
        return [_live_worker(*answer) for answer in sorted(self._scripts("workers"))]


def _live_worker(worker_id: bytes, about: bytes, started_at: bytes, seen_at: bytes, jobs: Any) -> LiveWorker:
    return LiveWorker(
        id=worker_id.decode(),
        about=Announcement(**orjson.loads(about)),
        started_at=moment(started_at),
        seen_at=moment(seen_at),
        jobs=[_running_job(*words) for words in jobs],
    )


def _running_job(job_id: bytes, job_type: bytes, progress: bytes, stage: bytes, started_at: bytes) -> RunningJob:
    text = stage.decode("utf-8", "replace") or None
    return RunningJob(job_id.decode(), job_type.decode(), float(progress), text, moment(started_at))


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
