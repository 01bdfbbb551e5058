"""The book of schedules: who may write, and what one fire does, all or nothing."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.builders import a_job, claim, completed
from workplatform.errors import JobNotFoundError, ScheduleNotFoundError
from workplatform.retention import sweeping_rules
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob
from workplatform.store.schedules import Entry, Fire, Fired

DUE = datetime(2026, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC)
NEXT = DUE + timedelta(seconds=1)


def put(store: JobStore, **fields: Any) -> Entry:
    facts: dict[str, Any] = {"name": "s", "spec": {"x": 1}, "revision": "r1", "created_at": DUE, "next_at": DUE}
    entry = Entry(**{**facts, **fields})
    assert store.schedules.put(entry, replaces="")
    return entry


def fire(store: JobStore, entry: Entry, *jobs: NewJob, **fields: Any) -> Fired:
    facts: dict[str, Any] = {"due": entry.next_at, "following": NEXT, "jobs": jobs or (a_job(),)}
    return store.schedules.fire(entry, Fire(**{**facts, **fields}))


def exists(store: JobStore, job: NewJob) -> bool:
    try:
        store.get(job.id)
    except JobNotFoundError:
        return False
    return True


def test_a_schedule_is_read_as_it_was_written(store: JobStore) -> None:
    first, second = put(store, name="b"), put(store, name="a", next_at=None)
    assert store.schedules.get("b") == first
    assert store.schedules.all() == [second, first]
    with pytest.raises(ScheduleNotFoundError, match="'c'"):
        store.schedules.get("c")


def test_only_who_has_read_the_last_revision_may_write(store: JobStore) -> None:
    entry = put(store)
    changed = replace(entry, spec={"x": 2}, revision="r2", next_at=NEXT, created_at=NEXT)
    assert not store.schedules.put(changed, replaces="")
    assert not store.schedules.put(changed, replaces="r0")
    assert store.schedules.get("s") == entry
    assert store.schedules.put(changed, replaces="r1")
    assert store.schedules.get("s") == replace(changed, created_at=DUE)
    store.schedules.drop("s")
    assert not store.schedules.put(changed, replaces="r2")
    with pytest.raises(ScheduleNotFoundError):
        store.schedules.drop("s")


def test_due_is_what_has_come_the_oldest_first_and_nothing_paused(store: JobStore) -> None:
    put(store, name="paused", next_at=None)
    put(store, name="later", next_at=store.schedules.now() + timedelta(hours=1))
    second, first = put(store, name="second", next_at=NEXT), put(store, name="first")
    now, due = store.schedules.due(10)
    assert due == [first, second]
    assert timedelta() <= store.schedules.now() - now < timedelta(minutes=1)
    assert store.schedules.due(1)[1] == [first]


def test_a_fire_moves_on_makes_the_job_and_is_noted(store: JobStore) -> None:
    entry, job = put(store), a_job()
    assert fire(store, entry, job) == Fired("created", job.id)
    assert store.get(job.id).status is Status.QUEUED
    after = store.schedules.get("s")
    assert (after.next_at, after.last_job, after.fires) == (NEXT, job.id, 1)
    assert after.last_at is not None
    [noted] = store.schedules.history("s")
    assert (noted["due"], noted["outcome"], noted["job"]) == (round(DUE.timestamp() * 1000), "created", job.id)
    assert noted["at"] == round(after.last_at.timestamp() * 1000)


@pytest.mark.parametrize("known", [{"next_at": NEXT}, {"revision": "r0"}, {"last_job": "job_x"}, {"name": "other"}])
def test_who_knows_another_schedule_than_this_fires_nothing(store: JobStore, known: dict[str, Any]) -> None:
    entry, job = put(store), a_job()
    assert fire(store, replace(entry, **known), job) == Fired("gone")
    assert not exists(store, job)
    assert (store.schedules.get("s"), store.schedules.history("s")) == (entry, [])


def test_of_many_that_fire_a_moment_one_does(store: JobStore) -> None:
    entry, jobs = put(store), [a_job() for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda job: fire(store, entry, job).outcome, jobs))
    assert sorted(outcomes) == ["created"] + ["gone"] * 39
    assert len([job for job in jobs if exists(store, job)]) == 1
    assert store.schedules.get("s").fires == 1


def test_a_moment_may_pass_without_a_job(store: JobStore) -> None:
    entry = put(store)
    assert fire(store, entry, jobs=(), note={"outcome": "missed", "message": "away"}) == Fired("passed")
    after = store.schedules.get("s")
    assert (after.next_at, after.fires, after.last_job) == (NEXT, 0, "")
    [noted] = store.schedules.history("s")
    assert (noted["outcome"], noted["message"], "job" in noted) == ("missed", "away", False)


def test_a_schedule_that_never_comes_again_is_not_due_any_more(store: JobStore) -> None:
    assert fire(store, put(store), following=None).outcome == "created"
    assert (store.schedules.get("s").next_at, store.schedules.due(10)[1]) == (None, [])
    assert [entry.name for entry in store.schedules.all()] == ["s"]


def after_one(store: JobStore) -> tuple[Entry, NewJob]:
    job = a_job()
    fire(store, put(store), job)
    return store.schedules.get("s"), job


def test_skip_makes_none_while_the_last_job_goes_on(store: JobStore) -> None:
    entry, first = after_one(store)
    second = a_job()
    assert fire(store, entry, second, overlap="skip", following=NEXT + timedelta(seconds=1)) == Fired(
        "overlap", first.id
    )
    assert not exists(store, second)
    assert store.schedules.history("s")[0]["outcome"] == "overlap"
    claim(store, first)
    entry = store.schedules.get("s")
    assert fire(store, entry, overlap="skip").outcome == "overlap"
    store.settle(first.id, 1, completed())
    entry = store.schedules.get("s")
    assert fire(store, entry, second, overlap="skip") == Fired("created", second.id)


def test_a_last_job_that_retention_has_removed_overlaps_nothing(store: JobStore) -> None:
    entry, first = after_one(store)
    store.cancel(first.id, message="", callbacks=[])
    assert store.sweep(sweeping_rules(timedelta(seconds=-1), {}, []), 10) == 1
    assert fire(store, entry, overlap="skip").outcome == "created"
    assert fire(store, store.schedules.get("s"), due=None, overlap="replace").outcome == "created"


def test_replace_cancels_the_last_job_tells_so_and_makes_another_one(store: JobStore) -> None:
    entry, first = after_one(store)
    claim(store, first)
    second, callback = a_job(), a_job()
    assert fire(store, entry, second, callback, overlap="replace") == Fired("created", second.id)
    record = store.get(first.id)
    assert (record.status, record.message) == (Status.CANCELLED, f"replaced by {second.id}")
    assert exists(store, callback)
    assert not store.settle(first.id, 1, completed()).is_accepted


def test_nothing_is_replaced_where_another_job_makes_the_new_one_needless(store: JobStore) -> None:
    entry, first = after_one(store)
    terms = json.dumps({"unique": "u"}).encode()
    holder, needless = a_job()._replace(terms=terms), a_job()._replace(terms=terms)
    store.create([holder])
    assert fire(store, entry, needless, overlap="replace") == Fired("existing", holder.id)
    assert store.get(first.id).status is Status.QUEUED


def test_replace_tells_nobody_of_a_last_job_that_had_ended(store: JobStore) -> None:
    entry, first = after_one(store)
    claim(store, first)
    store.settle(first.id, 1, completed())
    second, callback = a_job(), a_job()
    assert fire(store, entry, second, callback, overlap="replace") == Fired("created", second.id)
    assert store.get(first.id).status is Status.COMPLETED
    assert not exists(store, callback)


def test_a_job_that_another_one_makes_needless_is_not_made(store: JobStore) -> None:
    terms = json.dumps({"unique": "u"}).encode()
    holder, needless = a_job()._replace(terms=terms), a_job()._replace(terms=terms)
    store.create([holder])
    assert fire(store, put(store), needless) == Fired("existing", holder.id)
    assert not exists(store, needless)
    after = store.schedules.get("s")
    assert (after.next_at, after.last_job, after.fires) == (NEXT, "", 0)


def test_a_fire_on_request_leaves_the_moments_alone(store: JobStore) -> None:
    entry = put(store)
    assert fire(store, entry, due=None, following=None).outcome == "created"
    after = store.schedules.get("s")
    assert (after.next_at, after.fires) == (DUE, 1)
    assert fire(store, after, due=None, following=None, overlap="skip").outcome == "overlap"
    assert len(store.schedules.history("s")) == 1


def test_the_history_is_bounded_and_goes_with_its_schedule(store: JobStore, connector: Connector) -> None:
    entry = put(store)
    for number in range(60):
        following = DUE + timedelta(seconds=number + 1)
        assert fire(store, entry, jobs=(), note={"message": str(number)}, following=following).outcome == "passed"
        entry = replace(entry, next_at=following)
    assert [noted["message"] for noted in store.schedules.history("s")] == [str(n) for n in range(59, 9, -1)]
    store.schedules.drop("s")
    assert list(connector.client.scan_iter("test:*s*")) == []
