"""A simple model of the store: what jobs would be if there were one process, one dictionary and no Redis."""

from collections import defaultdict
from dataclasses import dataclass, field

from workplatform.states import Status
from workplatform.store.keys import PRIORITIES

ACTIVE = frozenset({Status.WAITING, Status.SCHEDULED, Status.QUEUED, Status.RUNNING})
SLOTS = 2


@dataclass
class ModelJob:
    """A job as it ought to stand."""

    id: str
    priority: int
    status: Status
    unique: str | None = None
    is_expired: bool = False
    fence: int = 0
    attempts: int = 0
    retries: int = 0
    lapses: bool = False
    """Whether its lease has run out, or does at once."""


@dataclass
class Model:
    """The jobs, and the messages of each priority, the next one last."""

    jobs: dict[str, ModelJob] = field(default_factory=dict)
    messages: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    is_paused: bool = False

    def holder(self, unique: str | None, *, but: str = "") -> str | None:
        """The active job that has a unique key."""
        found = [job.id for job in self.jobs.values() if job.unique == unique and job.status in ACTIVE]
        return next((job_id for job_id in found if job_id != but), None) if unique else None

    def add(self, job: ModelJob) -> None:
        """Make a job."""
        self.jobs[job.id] = job
        if job.status is Status.QUEUED:
            self.push(job.id)

    def push(self, job_id: str, *, first: bool = False) -> None:
        """Queue a job's message."""
        messages = self.messages[self.jobs[job_id].priority]
        messages.insert(len(messages) if first else 0, job_id)

    def pop(self) -> str | None:
        """Take the next message."""
        for priority in PRIORITIES:
            if self.messages[priority]:
                return self.messages[priority].pop()
        return None

    def claim(self, job_id: str, priority: int, *, lapses: bool) -> str:
        """Claim a job, its message in hand; returns the reason of a refusal, or "granted"."""
        job = self.jobs.get(job_id)
        if job is None or job.status is not Status.QUEUED:
            return job.status if job else "unknown"
        if job.is_expired:
            return "expired"
        if self.is_paused or self.running >= SLOTS:
            self.messages[priority].append(job_id)
            return "paused" if self.is_paused else "no_slot"
        job.status, job.lapses = Status.RUNNING, lapses
        job.fence += 1
        job.attempts += 1
        return "granted"

    def claim_next(self) -> str | None:
        """Claim the next job of the queue that can be; returns its id."""
        if self.is_paused:
            return None
        for priority in PRIORITIES:
            while self.messages[priority]:
                job_id = self.messages[priority].pop()
                answer = self.claim(job_id, priority, lapses=False)
                if answer == "granted":
                    return job_id
                if answer == "no_slot":
                    return None
        return None

    @property
    def running(self) -> int:
        """How many jobs run."""
        return sum(job.status is Status.RUNNING for job in self.jobs.values())

    def settle(self, job_id: str, ending: str) -> None:
        """End an attempt."""
        job = self.jobs[job_id]
        job.lapses = False
        if ending == "given_back":
            job.status = Status.QUEUED
            job.attempts -= 1
            self.push(job_id, first=True)
        elif ending == "backing_off":
            job.status = Status.SCHEDULED
            job.retries += 1
        else:
            job.status = Status(ending)

    def retry(self, job_id: str) -> None:
        """Queue an ended job again."""
        job = self.jobs[job_id]
        job.status, job.attempts, job.retries, job.is_expired = Status.QUEUED, 0, 0, False
        self.push(job_id)

    def of(self, *statuses: Status) -> list[str]:
        """The jobs in some statuses."""
        return [job.id for job in self.jobs.values() if job.status in statuses]

    @property
    def unheard(self) -> set[str]:
        """The queued jobs without a message."""
        return {job_id for job_id in self.of(Status.QUEUED) if job_id not in self.messages[self.jobs[job_id].priority]}
