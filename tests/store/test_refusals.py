"""A Redis that answers and takes no writes: new work is refused with the reason, and what runs goes on if it can."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from tests.builders import LEASE, a_claimant, a_job, claim, completed, pop
from tests.store.checking import differences
from workplatform.errors import StoreUnavailableError
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import Beat

HOUR = timedelta(hours=1)


@contextmanager
def out_of_memory(connector: Connector) -> Iterator[None]:
    connector.client.config_set("maxmemory", "1")
    try:
        yield
    finally:
        connector.client.config_set("maxmemory", "0")


@contextmanager
def read_only(connector: Connector) -> Iterator[None]:
    connector.client.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        connector.client.replicaof("NO", "ONE")


@contextmanager
def without_replicas(connector: Connector) -> Iterator[None]:
    connector.client.config_set("min-replicas-to-write", "1")
    try:
        yield
    finally:
        connector.client.config_set("min-replicas-to-write", "0")


REASONS = [(out_of_memory, "out of memory"), (read_only, "read-only"), (without_replicas, "too few of its replicas")]


@pytest.mark.parametrize(("trouble", "reason"), REASONS)
def test_new_jobs_are_refused_with_the_reason_and_nothing_is_half_made(
    store: JobStore, connector: Connector, trouble: Callable[[Connector], object], reason: str
) -> None:
    store.create([a_job()])
    before = connector.client.dbsize(), connector.client.get("test:sequence"), connector.client.xlen("test:events")
    many = [a_job() for _ in range(50)]
    with trouble(connector):  # type: ignore[attr-defined]
        for refused in (
            lambda: store.create(many),
            lambda: store.create_once(many, key="k", fingerprint="f", remembered=HOUR),
            lambda: store.retry(many[0].id, b"") if reason != "out of memory" else store.create(many),
        ):
            with pytest.raises(StoreUnavailableError, match=reason):
                refused()
        assert len(store.page(limit=20).records) == 1, "reading goes on"
    after = connector.client.dbsize(), connector.client.get("test:sequence"), connector.client.xlen("test:events")
    assert after == before
    assert differences(connector) == []
    once = store.create_once(many, key="k", fingerprint="f", remembered=HOUR)
    assert not once.is_replay


def test_without_memory_what_is_there_runs_to_its_end_and_tells_of_it(store: JobStore, connector: Connector) -> None:
    running, queued, waiting = a_job(), a_job(), a_job(delay_ms=60_000)
    store.create([running, queued, waiting])
    pop(store)
    claim(store, running, a_claimant(slots=5))
    with out_of_memory(connector):
        beat = Beat(running.id, 1, changed=True, progress=50.0, lines=["half"])
        assert store.beat(LEASE, [beat]) == ["ok"], "its lease is renewed"
        callback = a_job(job_type="http", queue="http")
        settled = store.settle(
            running.id, 1, completed(callbacks=[callback]), then=a_claimant(slots=5), claim="the next one"
        )
        assert settled.is_accepted
        assert settled.next_grant is not None and settled.next_grant.id == queued.id
        assert store.cancel(waiting.id, message="", callbacks=[]) == (True, "scheduled")
    assert [store.get(job.id).status for job in (running, queued, waiting, callback)] == [
        Status.COMPLETED,
        Status.RUNNING,
        Status.CANCELLED,
        Status.QUEUED,
    ]
    assert differences(connector) == []
