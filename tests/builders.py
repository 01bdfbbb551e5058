"""Builders that fill every required field."""

import json
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any

from workplatform.states import Event, Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import Claimant, Grant, NewJob, Settlement
from workplatform.store.workers import Announcement

LEASE = timedelta(seconds=12)
GONE = timedelta(milliseconds=1)
_numbers = count(1)


def a_job(*, job_type: str = "nap", queue: str = "nap", priority: int = 2, delay_ms: int = 0) -> NewJob:
    """A job that the store can create."""
    job_id = f"job_{next(_numbers):026}"
    return NewJob(
        id=job_id,
        type=job_type,
        queue=queue,
        priority=priority,
        spec=b'{"payload":{}}',
        message=a_message(job_id),
        terms=json.dumps({"delay": delay_ms}).encode() if delay_ms else b"",
    )


def a_message(job_id: str) -> bytes:
    """A message as short as the store's scripts allow."""
    return json.dumps({"headers": {"id": job_id}}).encode()


def a_claimant(*, worker: str = "w1", node: str = "n1", slots: int = 0, lease: timedelta = LEASE) -> Claimant:
    """A worker that claims."""
    return Claimant(worker, node, slots, lease)


def an_announcement(*queues: str, **more: Any) -> Announcement:
    """What a worker of some queues says about itself."""
    facts: dict[str, Any] = {
        "name": f"{'-'.join(queues)}@n1",
        "node": "n1",
        "host": "host-1",
        "pid": 7,
        "version": "0.0.0",
        "slots": 2,
        "node_slots": 5,
        "is_draining": False,
        "cores": 4,
        "cpu_percent": 12.5,
        "memory_bytes": 1000,
        "load": (0.5, 0.25, 0.125),
        "free_scratch_bytes": 5000,
    }
    return Announcement(queues=queues, **{**facts, **more})


def completed(*, result: bytes = b"{}", callbacks: Sequence[NewJob] = ()) -> Settlement:
    """The ending of a successful attempt."""
    return Settlement(Status.COMPLETED, Event.COMPLETED, "attempt", result=result, callbacks=callbacks)


def failed() -> Settlement:
    """The ending of a job that failed for good."""
    error = b'{"code":"bad_input","message":"no","retryable":false}'
    return Settlement(Status.FAILED, Event.FAILED, "attempt", message="no", error=error)


def backing_off(*, delay_ms: int = 1) -> Settlement:
    """The ending of an attempt that is tried again later."""
    error = b'{"code":"error","message":"no","retryable":true}'
    return Settlement(Status.SCHEDULED, Event.RETRYING, "retry", "no", error=error, delay_ms=delay_ms, reason="backoff")


def given_back(job_id: str) -> Settlement:
    """The ending of an attempt whose worker shuts down."""
    return Settlement(Status.QUEUED, Event.QUEUED, "nothing", wakeup=a_message(job_id))


def claim(store: JobStore, job: NewJob, claimant: Claimant | None = None, *, word: str = "claim") -> Grant:
    """Claim a job that has to be there for the taking."""
    answer = store.claim(job.id, claimant or a_claimant(), claim=word, message=job.message)
    assert isinstance(answer, Grant), answer
    return answer


def pop(store: JobStore, queue: str = "nap") -> str | None:
    """Take the next message of a queue as Celery would; returns its job's id."""
    keys = [f"test:{queue}" + (f"\x06\x16{priority}" if priority else "") for priority in range(5)]
    for key in keys:
        message = store._connector.client.rpop(key)
        if isinstance(message, bytes):
            return str(json.loads(message)["headers"]["id"])
    return None


def kinds_of_keys(connector: Connector) -> set[str]:
    """The first words of the keys that there are, as store/keys.py lists them."""
    return {str(key, "utf-8").split(":")[1] for key in connector.client.scan_iter("test:*")}
