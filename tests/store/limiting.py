"""What the tests of limits ask of a store."""

import json
from collections.abc import Mapping
from typing import Any

from tests.builders import a_claimant, a_job, a_message, kinds_of_keys, pop
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import Grant, NewJob, Refusal

OVER = Refusal("limit")


def limited(store: JobStore, name: str, rule: str) -> None:
    store.limits.put(name, {"rule": rule})


def made(store: JobStore, *, job_type: str = "nap", priority: int = 2, **terms: Any) -> NewJob:
    job = a_job(job_type=job_type, priority=priority)
    job = job._replace(terms=json.dumps(terms).encode() if terms else b"")
    store.create([job])
    return job


def ask(store: JobStore, job: NewJob | str, word: str = "w") -> Grant | Refusal:
    job_id = job if isinstance(job, str) else job.id
    return store.claim(job_id, a_claimant(), claim=f"{word} {job_id}", message=a_message(job_id))


def take(store: JobStore) -> Grant | Refusal | None:
    """Do what a worker does with its queue's next message."""
    job_id = pop(store)
    return ask(store, job_id, word="taken") if job_id else None


def waiting(store: JobStore) -> Mapping[str, int]:
    return {state.name: state.waiting for state in store.limits.states()}


def leftovers(connector: Connector) -> set[str]:
    return kinds_of_keys(connector) & {"holding", "parked", "woken", "rounds", "offers"}


def minutes_pass(connector: Connector, number: int) -> None:
    """Do what time does to a bucket, and have the limit looked at."""
    full = float(connector.client.get("test:bucket:type:nap") or 0)
    connector.client.set("test:bucket:type:nap", full - number * 60_000)
    connector.client.zadd("test:offers", {"type:nap": 1})
