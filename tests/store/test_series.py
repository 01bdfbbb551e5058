"""Series: of their jobs one runs at a time, and only the newest is worth running."""

import json

import pytest

from tests.builders import (
    GONE,
    LEASE,
    a_claimant,
    a_job,
    a_message,
    backing_off,
    claim,
    completed,
    failed,
    given_back,
    pop,
)
from tests.waiting import eventually
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import Beat, NewJob, Refusal, Settlement

HELD = Refusal("series")


def a_deploy(store: JobStore, series: str = "deploy:p") -> NewJob:
    job = a_job()._replace(terms=json.dumps({"series": series}).encode())
    store.create([job])
    return job


def asked(store: JobStore, job: NewJob) -> object:
    return store.claim(job.id, a_claimant(), claim=job.id, message=job.message)


def due(store: JobStore) -> list[str]:
    return store.due(10).scheduled


def cancel(store: JobStore, job: NewJob) -> tuple[bool, str]:
    return store.cancel(job.id, message="", callbacks=[])


def test_a_job_waits_while_another_one_of_its_series_runs(store: JobStore) -> None:
    first = a_deploy(store)
    claim(store, first)
    second, other = a_deploy(store), a_deploy(store, "deploy:other")
    assert asked(store, second) == HELD
    record = store.get(second.id)
    assert (record.status, record.reason) == (Status.WAITING, "series")
    claim(store, other)


@pytest.mark.parametrize("ending", [completed(), failed(), backing_off(delay_ms=60_000)])
def test_the_waiting_job_comes_at_once_when_the_running_one_ends(store: JobStore, ending: Settlement) -> None:
    first = a_deploy(store)
    claim(store, first)
    second = a_deploy(store)
    asked(store, second)
    assert store.settle(first.id, 1, ending).is_accepted
    assert due(store) == [second.id]
    assert store.promote(second.id, second.message)
    assert store.get(second.id).status is Status.QUEUED
    claim(store, second, word="again")


def test_a_waiting_job_is_looked_at_every_second_and_waits_on(store: JobStore) -> None:
    first = a_deploy(store)
    claim(store, first)
    second = a_deploy(store)
    asked(store, second)
    assert due(store) == []
    eventually(lambda: due(store) == [second.id])
    assert not store.promote(second.id, second.message)
    assert (store.get(second.id).status, due(store)) == (Status.WAITING, [])


def test_a_job_that_is_not_the_newest_is_never_claimed(store: JobStore) -> None:
    first, second = a_deploy(store), a_deploy(store)
    assert asked(store, first) == HELD
    assert due(store) == [first.id], "the scheduler is to cancel it, with its callback"
    claim(store, second)
    assert store.settle(second.id, 1, completed()).is_accepted
    assert store.series("deploy:p") == [first.id, second.id], "so that the older one does not run after all"
    assert cancel(store, first) == (True, "waiting")
    assert store.series("deploy:p") == []


def test_a_queued_job_of_a_held_series_does_not_stop_its_queue(store: JobStore) -> None:
    first = a_deploy(store)
    claim(store, first)
    a_deploy(store)
    other = a_deploy(store, "deploy:other")
    assert pop(store) == first.id
    bystander = a_job()
    store.create([bystander])
    claim(store, bystander)
    settled = store.settle(bystander.id, 1, completed(), then=a_claimant(), claim="next")
    assert settled.next_grant is not None
    assert settled.next_grant.id == other.id


def test_a_cancelled_job_holds_its_series_until_its_worker_has_ended_it(store: JobStore) -> None:
    first = a_deploy(store)
    claim(store, first)
    second = a_deploy(store)
    cancel(store, first)
    assert asked(store, second) == HELD
    assert store.beat(LEASE, [Beat(first.id, 1)]) == ["cancelled"]
    store.release(first.id, 1)
    assert due(store) == [second.id]
    assert store.promote(second.id, second.message)
    claim(store, second, word="again")


def test_a_cancelled_job_whose_worker_died_holds_its_series_no_longer_than_its_lease(
    store: JobStore, connector: Connector
) -> None:
    first = a_deploy(store)
    claim(store, first)
    cancel(store, first)
    assert 0 < connector.client.pttl("test:holder:deploy:p") <= LEASE.total_seconds() * 1000


def test_a_lost_worker_frees_its_series(store: JobStore) -> None:
    first = a_deploy(store)
    claim(store, first, a_claimant(lease=GONE))
    second = a_deploy(store)
    assert asked(store, second) == HELD, "until the scheduler has taken the job from its worker"
    eventually(lambda: store.due(10).lapsed == [first.id])
    assert store.reap(first.id, 1, given_back(first.id))
    assert due(store) == [second.id]
    store.release(first.id, 1)
    store.promote(second.id, second.message)
    claim(store, second, word="again")
    store.release(first.id, 1)
    third = a_deploy(store)
    assert asked(store, third) == HELD, "an old attempt cannot free what a new one holds"


def test_a_retried_job_is_the_newest(store: JobStore) -> None:
    first = a_deploy(store)
    claim(store, first)
    assert store.settle(first.id, 1, failed()).is_accepted
    second = a_deploy(store)
    assert store.retry(first.id, a_message(first.id)) is None
    assert store.series("deploy:p") == [second.id, first.id]
    assert asked(store, second) == HELD
    claim(store, first, word="again")


def test_a_running_job_can_be_spared(store: JobStore) -> None:
    first = a_deploy(store)
    claim(store, first)
    assert store.cancel(first.id, message="", callbacks=[], spare_running=True) == (False, "running")
    assert store.get(first.id).status is Status.RUNNING
