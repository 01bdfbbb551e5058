"""Terms in the store: when jobs begin and expire by Redis's clock, and one active job for each unique key."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import a_claimant, a_job, a_message, backing_off, claim, completed, failed, pop
from tests.waiting import eventually
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.events import EventLog
from workplatform.store.jobs import JobStore
from workplatform.store.records import Beat, Created, NewJob, Refusal, Settlement, Standing

DAY = timedelta(days=1)


def now_ms(connector: Connector) -> int:
    seconds, microseconds = connector.client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def with_terms(**terms: Any) -> NewJob:
    return a_job()._replace(terms=json.dumps(terms).encode())


def made(store: JobStore, **terms: Any) -> NewJob:
    job = with_terms(**terms)
    assert store.create([job]).others == {}
    return job


def expire(store: JobStore, job: NewJob) -> bool:
    return store.expire(job.id, message="too late", error=b'{"code":"expired","message":"too late"}', callbacks=[])


def is_expired(store: JobStore, job: NewJob) -> bool:
    return job.id in store.due(10).expired


def test_a_job_for_later_waits_for_its_moment(store: JobStore, connector: Connector) -> None:
    later = made(store, runAt=now_ms(connector) + 60_000)
    record = store.get(later.id)
    assert (record.status, record.reason, pop(store)) == (Status.SCHEDULED, "delay", None)
    soon = made(store, runAt=now_ms(connector) + 20)
    eventually(lambda: store.due(10).scheduled == [soon.id])
    assert store.promote(soon.id, soon.message)
    assert pop(store) == soon.id


def test_a_moment_that_has_passed_is_now(store: JobStore) -> None:
    job = made(store, runAt=1000)
    assert (store.get(job.id).status, pop(store)) == (Status.QUEUED, job.id)


def test_a_job_that_has_not_begun_in_time_fails_and_is_never_claimed(store: JobStore, event_log: EventLog) -> None:
    job = made(store, ttl=20)
    eventually(lambda: is_expired(store, job))
    assert store.claim(job.id, a_claimant(), claim="w", message=job.message) == Refusal("expired")
    callback = a_job(job_type="http", queue="http")
    assert store.expire(job.id, message="late", error=b'{"code":"expired","message":"late"}', callbacks=[callback])
    record = store.get(job.id)
    assert (record.status, record.error, record.message) == (
        Status.FAILED,
        {"code": "expired", "message": "late"},
        "late",
    )
    assert record.finished_at is not None
    assert not is_expired(store, job)
    assert not expire(store, job)
    assert store.get(callback.id).status is Status.QUEUED
    assert [event.event for event in event_log.after("0-0") if event.job_id == job.id] == ["job:queued", "job:failed"]


def test_a_delayed_job_expires_before_its_moment(store: JobStore) -> None:
    job = made(store, delay=60_000, expiresAt=1000)
    assert expire(store, job)
    assert store.due(10).scheduled == []
    assert not store.promote(job.id, job.message)


def test_a_job_that_has_begun_does_not_expire(store: JobStore, connector: Connector) -> None:
    job = made(store, expiresAt=now_ms(connector) + 300)
    claim(store, job)
    assert store.get(job.id).expires_at is None
    assert connector.client.zcard("test:limited") == 0
    store.settle(job.id, 1, backing_off())
    assert not expire(store, job)


@pytest.mark.parametrize("state", ["queued", "running", "backing off"])
def test_a_job_that_has_not_ended_in_time_fails_wherever_it_stands(store: JobStore, state: str) -> None:
    job = made(store, within=150, ttl=100_000)
    if state != "queued":
        claim(store, job)
    if state == "backing off":
        store.settle(job.id, 1, backing_off(delay_ms=60_000))
    eventually(lambda: is_expired(store, job))
    assert expire(store, job)
    assert store.get(job.id).status is Status.FAILED
    [verdict] = store.beat(DAY, [Beat(job.id, 1)])
    assert verdict == "lost"
    assert not store.settle(job.id, 1, completed()).is_accepted
    assert store.due(10).scheduled == []


@pytest.mark.parametrize("ending", [completed(), failed()])
def test_a_job_that_has_ended_keeps_no_moment(store: JobStore, connector: Connector, ending: Settlement) -> None:
    job = made(store, within=100_000, ttl=100_000)
    claim(store, job)
    store.settle(job.id, 1, ending)
    assert connector.client.zcard("test:limited") == 0


def test_a_retry_on_request_is_free_of_the_old_moments(store: JobStore) -> None:
    job = made(store, expiresAt=1000)
    assert expire(store, job)
    assert store.retry(job.id, job.message) is None
    claim(store, job)


def test_there_is_one_active_job_for_a_unique_key(store: JobStore) -> None:
    first = made(store, unique="film")
    second, other = with_terms(unique="film"), with_terms(unique="else")
    created = store.create([second, other])
    was = Standing(Status.QUEUED, round(store.get(first.id).created_at.timestamp() * 1000))
    assert created == Created(created.at_ms, {second.id: first.id}, standing={second.id: was})
    assert store.page().counts == {("nap", Status.QUEUED): 2}
    assert [pop(store), pop(store), pop(store)] == [first.id, other.id, None]
    assert store.get(first.id).unique_key == "film"


def test_of_two_in_one_submission_the_first_is_made(store: JobStore) -> None:
    first, second = with_terms(unique="film"), with_terms(unique="film")
    assert store.create([first, second]).others == {second.id: first.id}


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled", "expired"])
def test_a_unique_key_is_free_when_its_job_has_ended(store: JobStore, how: str) -> None:
    job = made(store, unique="film", **({"expiresAt": 1000} if how == "expired" else {}))
    if how in ("completed", "failed"):
        claim(store, job)
        store.settle(job.id, 1, completed() if how == "completed" else failed())
    elif how == "cancelled":
        store.cancel(job.id, message="", callbacks=[])
    else:
        expire(store, job)
    made(store, unique="film")


def test_a_unique_key_is_held_through_backoff(store: JobStore) -> None:
    job = made(store, unique="film")
    claim(store, job)
    store.settle(job.id, 1, backing_off(delay_ms=60_000))
    second = with_terms(unique="film")
    assert store.create([second]).others == {second.id: job.id}


def test_a_retry_takes_its_unique_key_again_or_is_refused(store: JobStore) -> None:
    job = made(store, unique="film")
    store.cancel(job.id, message="", callbacks=[])
    second = made(store, unique="film")
    assert second.id in (store.retry(job.id, job.message) or "")
    store.cancel(second.id, message="", callbacks=[])
    assert store.retry(job.id, a_message(job.id)) is None
    third = with_terms(unique="film")
    assert store.create([third]).others == {third.id: job.id}


def test_a_request_is_stored_once_for_its_idempotency_key(store: JobStore) -> None:
    jobs = [a_job(), a_job()]
    first = store.create_once(jobs, key="k", fingerprint="f", remembered=DAY)
    again = store.create_once([a_job(), a_job()], key="k", fingerprint="g", remembered=DAY)
    assert (first.is_replay, again.is_replay) == (False, True)
    assert (again.job_ids, again.created, again.fingerprint) == ([job.id for job in jobs], first.created, "f")
    assert store.page().counts == {("nap", Status.QUEUED): 2}


def test_an_idempotency_key_is_forgotten_in_time(store: JobStore) -> None:
    soon = timedelta(milliseconds=20)
    store.create_once([a_job()], key="k", fingerprint="f", remembered=soon)
    eventually(lambda: not store.create_once([a_job()], key="k", fingerprint="f", remembered=soon).is_replay)
