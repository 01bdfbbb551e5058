"""The check of the store: silent about every state that jobs reach by themselves, and telling of each broken place."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis

from tests.builders import GONE, a_claimant, a_job, a_message, backing_off, claim, completed, failed, given_back, pop
from tests.store.checking import differences, survey
from workplatform.retention import sweeping_rules
from workplatform.store.connection import Connector
from workplatform.store.events import EventLog
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob, Settlement

Redis = redis.Redis


def raw(connector: Connector, *words: str | bytes) -> Any:
    return connector.client.execute_command(*words)


def a_job_with(store: JobStore, **terms: object) -> NewJob:
    job = a_job()._replace(terms=json.dumps(terms).encode())
    store.create([job])
    return job


def running(store: JobStore, **terms: object) -> NewJob:
    job = a_job_with(store, **terms)
    pop(store)
    claim(store, job, a_claimant(slots=2))
    return job


def ended(store: JobStore, ending: Settlement | None = None, **terms: object) -> NewJob:
    job = running(store, **terms)
    store.settle(job.id, 1, ending or completed())
    return job


def test_jobs_in_every_state_agree_with_themselves(store: JobStore, connector: Connector) -> None:
    far = 10**13
    a_job_with(store)
    a_job_with(store, delay=60_000, ttl=120_000, within=600_000, unique="film-1")
    pop(store)
    running(store, expiresAt=far, deadline=far, unique="film-2", series="deploy:p")
    pop(store)
    for number, ending in enumerate((completed(), failed(), backing_off(delay_ms=60_000), given_back("job_x"))):
        ended(store, ending, unique=f"clip-{number}", series=f"deploy:{number}", deadline=far)
        pop(store)
    store.cancel(a_job_with(store, unique="film-4", series="deploy:p").id, message="", callbacks=[])
    retried = ended(store, failed(), unique="film-5")
    store.retry(retried.id, a_message(retried.id))
    store.create_once([a_job()], key="k", fingerprint="f", remembered=timedelta(hours=1))
    found = [difference for difference in differences(connector) if difference.kind != "message"]
    assert found == []


def test_a_swept_job_leaves_nothing_behind(store: JobStore, connector: Connector) -> None:
    job = ended(store)
    ended(store)
    assert store.sweep(sweeping_rules(timedelta(0), {}, ["nap"]), 100) == 2
    assert differences(connector) == []
    connector.client.xadd(f"test:logs:{job.id}", {"text": "late"})
    assert [difference.kind for difference in differences(connector)] == ["stray"]


Break = Callable[[Redis, str], object]


def _as(kind: str, job: Callable[[JobStore], NewJob], damage: Break, sentence: str) -> object:
    return pytest.param(job, damage, kind, sentence, id=sentence.partition(" and ")[0])


@pytest.mark.parametrize(
    ("make", "damage", "kind", "sentence"),
    [
        _as("missing", a_job_with, lambda r, j: r.zrem("test:index:nap:queued", j), "is queued and not in test:index:"),
        _as("stray", a_job_with, lambda r, j: r.zadd("test:index:nap:failed", {j: 0}), "index:nap:failed lists job"),
        _as("missing", a_job_with, lambda r, j: r.zrem("test:queued:nap:2", j), "is queued and not in test:queued:"),
        _as("score", a_job_with, lambda r, j: r.zadd("test:queued:nap:2", {j: 99}), "queued:nap:2 has job"),
        _as("stray", a_job_with, lambda r, j: r.zadd("test:leases", {j: 1}), "leases lists job"),
        _as("stray", a_job_with, lambda r, j: r.zadd("test:scheduled", {j: 1}), "scheduled lists job"),
        _as("stray", a_job_with, lambda r, j: r.sadd("test:slots:n1", j), "slots:n1 lists job"),
        _as("stray", a_job_with, lambda r, j: r.zadd("test:series:x", {j: 1}), "series:x lists job"),
        _as("stray", a_job_with, lambda r, j: r.set("test:holder:x", f"{j} 1"), "holder:x is held by attempt 1 of job"),
        _as("stray", a_job_with, lambda r, j: r.set("test:unique:nap:x", j), "unique:nap:x names job"),
        _as("missing", a_job_with, lambda r, _: r.srem("test:types", "nap"), "is queued and test:types lacks nap"),
        _as("missing", running, lambda r, j: r.zrem("test:leases", j), "is running and not in test:leases"),
        _as("missing", running, lambda r, j: r.srem("test:slots:n1", j), "is running and test:slots:n1 lacks"),
        _as(
            "missing",
            ended,
            lambda r, j: r.zrem("test:finished:nap:completed", j),
            "is completed and not in test:finished:nap:completed",
        ),
        _as(
            "score",
            ended,
            lambda r, j: r.zincrby("test:finished:nap:completed", -5000, j),
            "finished:nap:completed has job",
        ),
        _as("stray", ended, lambda r, j: r.zadd("test:finished:nap:completed", {f"{j}x": 1}), "which does not exist"),
    ],
)
def test_a_broken_place_is_told_and_mended(
    store: JobStore, connector: Connector, make: Callable[[JobStore], NewJob], damage: Break, kind: str, sentence: str
) -> None:
    job = make(store)
    assert differences(connector, takes_slot=True) == []
    damage(connector.client, job.id)
    check = survey(connector, takes_slot=True)
    [found] = check.differences()
    assert (found.kind, sentence in found.sentence) == (kind, True), found
    assert check.mend(found)
    assert differences(connector, takes_slot=True) == []


def test_what_a_job_claims_is_missed_and_given_back(store: JobStore, connector: Connector) -> None:
    job = a_job_with(store, unique="film", series="p", deadline=10**13, delay=60_000)
    for key in ("unique:nap:film", "series:p", "limited", "scheduled"):
        connector.client.delete(f"test:{key}")
    check = survey(connector)
    found = list(check.differences())
    assert [difference.kind for difference in found] == ["missing"] * 4
    assert all(check.mend(difference) for difference in found)
    assert differences(connector) == []
    assert store.due(9).expired == []
    assert store.get(job.id).unique_key == "film"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda r, j: r.hdel(f"test:job:{j}", "queue"), "has no queue"),
        (lambda r, j: r.hdel(f"test:job:{j}", "spec"), "has no spec"),
        (lambda r, j: r.hset(f"test:job:{j}", "status", "dreaming"), "status that does not exist: dreaming"),
        (lambda r, j: r.hset(f"test:job:{j}", "finishedAt", 5), "is queued and has finishedAt"),
        (lambda r, j: r.hset(f"test:job:{j}", "dueAt", 5), "is queued and has dueAt"),
        (lambda r, j: r.hdel(f"test:job:{j}", "sequence"), "is queued and has no sequence"),
        (lambda r, j: r.delete(f"test:job:{j}"), "it does not exist"),
        (lambda r, j: r.delete(f"test:job:{j}"), "which does not exist"),
        (lambda r, _: r.set("test:rubbish", 1), "test:rubbish is no key of the platform"),
        (lambda r, _: r.set("test:leases", 1), "test:leases is a string and has to be a zset"),
        (lambda r, _: r.hset("test:idempotency:x", "ids", "[]"), "would never be forgotten"),
        (lambda r, _: r.rpush("test:fires:x", "{}"), "is of a schedule that does not exist"),
        (lambda r, _: r.zadd("test:schedules", {"x": 1}), "schedules lists x, which does not exist"),
        (lambda r, _: r.hset("test:schedule:x", "nextAt", 5), "schedule x fires next at 5"),
    ],
)
def test_what_is_wrong_in_itself_is_told(store: JobStore, connector: Connector, damage: Break, sentence: str) -> None:
    job = a_job_with(store)
    damage(connector.client, job.id)
    assert [found for found in differences(connector) if sentence in found.sentence]


def test_a_queued_job_without_a_message_is_told_unless_it_is_claimed_meanwhile(
    store: JobStore, connector: Connector
) -> None:
    job = a_job_with(store)
    kept = a_job_with(store)
    assert pop(store) == job.id
    [found] = differences(connector)
    assert (found.kind, found.subject) == ("message", job.id)
    claim(store, job, a_claimant(slots=2))
    assert differences(connector) == []
    pop(store)
    store.repush(kept.id, kept.message)
    connector.client.rpush("test:nap\x06\x162", "not json")
    assert differences(connector) == []


def test_the_stream_is_held_against_the_records(store: JobStore, connector: Connector) -> None:
    job = ended(store)
    told = ("job", job.id, "type", "nap")
    newest = raw(connector, "XADD", "test:events", "*", "event", "job:started", "status", "running", *told)
    sentences = [found.sentence for found in differences(connector)]
    assert [sentence for sentence in sentences if "became running (job:started) after it was completed" in sentence]
    assert [sentence for sentence in sentences if "as running, and its record says completed" in sentence]
    raw(connector, "XDEL", "test:events", newest)
    raw(connector, "XADD", "test:events", "*", "event", "job:completed", "status", "completed", *told)
    [found] = differences(connector)
    assert "became completed (job:completed) after it was completed" in found.sentence


def test_an_end_that_the_stream_does_not_tell_of_is_missed(
    store: JobStore, connector: Connector, event_log: EventLog
) -> None:
    job, other = ended(store), ended(store)
    for event in event_log.after("0-0"):
        if event.job_id == other.id:
            raw(connector, "XDEL", "test:events", event.id)
    [found] = differences(connector)
    assert found.subject == other.id != job.id


def test_a_mend_that_is_out_of_date_does_nothing(store: JobStore, connector: Connector) -> None:
    job = running(store)
    connector.client.zrem("test:leases", job.id)
    check = survey(connector)
    [found] = check.differences()
    store.settle(job.id, 1, completed())
    assert not check.mend(found)
    assert differences(connector) == []


def test_a_job_that_lost_its_lease_comes_back_by_the_mend(store: JobStore, connector: Connector) -> None:
    job = running(store)
    connector.client.zrem("test:leases", job.id)
    check = survey(connector)
    assert [check.mend(found) for found in check.differences()] == [True]
    assert store.due(9).lapsed == [job.id]
    assert store.reap(job.id, 1, given_back(job.id))
    assert differences(connector) == []


def test_a_lease_that_has_run_out_is_no_difference(store: JobStore, connector: Connector) -> None:
    job = a_job_with(store)
    pop(store)
    claim(store, job, a_claimant(lease=GONE, slots=1))
    assert differences(connector) == []
