"""The job's states, drawn once: docs/lifecycle.md shows the same picture, the Lua scripts obey it."""

from enum import StrEnum


class Status(StrEnum):
    """Where a job stands; the last three are final."""

    WAITING = "waiting"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in FINAL


FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.WAITING: frozenset({Status.QUEUED, Status.SCHEDULED, Status.CANCELLED, Status.FAILED}),
    Status.SCHEDULED: frozenset({Status.QUEUED, Status.WAITING, Status.FAILED, Status.CANCELLED}),
    Status.QUEUED: frozenset({Status.RUNNING, Status.WAITING, Status.FAILED, Status.CANCELLED}),
    Status.RUNNING: frozenset({Status.COMPLETED, Status.FAILED, Status.SCHEDULED, Status.QUEUED, Status.CANCELLED}),
    Status.COMPLETED: frozenset({Status.QUEUED}),
    Status.FAILED: frozenset({Status.QUEUED, Status.WAITING}),
    Status.CANCELLED: frozenset({Status.QUEUED, Status.WAITING}),
}


class Event(StrEnum):
    """What is told about a job, on the stream and to SSE clients."""

    QUEUED = "job:queued"
    STARTED = "job:started"
    PROGRESS = "job:progress"
    LOG = "job:log"
    RETRYING = "job:retrying"
    COMPLETED = "job:completed"
    FAILED = "job:failed"
    CANCELLED = "job:cancelled"


class WaitingReason(StrEnum):
    """Why a job that could run does not."""

    DEPENDENCIES = "dependencies"
    DELAY = "delay"
    BACKOFF = "backoff"
    SERIES = "series"
    SLOT = "slot"
    QUEUE_PAUSED = "queue_paused"
    NO_WORKER = "no_worker"
    CONCURRENCY_LIMIT = "concurrency_limit"
    RATE_LIMIT = "rate_limit"
    TURN = "turn"
