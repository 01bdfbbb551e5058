"""Firing: what schedulers make of the moments that have come, on time and after an outage."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from workplatform.callbacks import Callbacks
from workplatform.celery_app import Wakeups
from workplatform.firing import Firing
from workplatform.registry import discover
from workplatform.schedules import Schedule
from workplatform.states import Status
from workplatform.store.jobs import JobStore
from workplatform.store.records import Record
from workplatform.store.schedules import Entry
from workplatform.submission import Submitter
from workplatform.superseding import Superseding

JOB = {"type": "nap", "payload": {"path": "a"}}


@pytest.fixture
def firing(store: JobStore) -> Firing:
    """What one scheduler has."""
    registry = discover(["tests.jobs"])
    submitter = Submitter(registry, Wakeups())
    callbacks = Callbacks(submitter, signs=False)
    superseding = Superseding(registry, store, callbacks)
    return Firing(store=store, submitter=submitter, callbacks=callbacks, superseding=superseding)


def away_for(store: JobStore, seconds: float, **fields: Any) -> datetime:
    """A schedule of every ten seconds that nobody has fired for so long; returns the moment that is due."""
    due = store.schedules.now() - timedelta(seconds=seconds)
    spec = {"name": "s", "every": "10s", "job": JOB, **fields}
    made = due - timedelta(seconds=10)
    assert store.schedules.put(Entry("s", spec, "r1", created_at=made, next_at=due), replaces="")
    return due


def tick_until_done(store: JobStore, firing: Firing) -> None:
    while store.schedules.due(1)[1]:
        firing.tick()


def jobs(store: JobStore) -> list[Record]:
    return store.page(limit=200).records


def outcomes(store: JobStore) -> list[str]:
    return [fire["outcome"] for fire in reversed(store.schedules.history("s"))]


def dues(store: JobStore) -> list[int]:
    return [fire["due"] for fire in store.schedules.history("s")]


def test_what_is_due_fires_and_the_next_moment_is_awaited(store: JobStore, firing: Firing) -> None:
    due = away_for(store, 0.5)
    firing.tick()
    firing.tick()
    [job] = jobs(store)
    assert (job.status, job.spec["tags"]) == (Status.QUEUED, ["schedule:s"])
    assert store.schedules.get("s").next_at == due + timedelta(seconds=10)


@pytest.mark.parametrize("policy", ["none", "latest", "all"])
def test_what_is_less_than_a_minute_late_fires_each(store: JobStore, firing: Firing, policy: str) -> None:
    away_for(store, 35, catchUp=policy)
    firing.tick()
    assert outcomes(store) == ["created"] * 4
    assert {late - early for late, early in pairwise(dues(store))} == {10_000}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("none", ["missed"]), ("latest", ["missed", "created"]), ("all", ["created"] * 6)],
)
def test_an_outage_is_made_up_for_as_the_policy_says(
    store: JobStore, firing: Firing, policy: str, expected: list[str]
) -> None:
    away_for(store, 5.5 * 3600, every="1h", catchUp=policy)
    firing.tick()
    firing.tick()
    assert outcomes(store) == expected
    assert len(jobs(store)) == expected.count("created")
    following = store.schedules.get("s").next_at
    assert following is not None
    assert timedelta(minutes=29) < following - store.schedules.now() <= timedelta(minutes=30)


def test_one_schedule_does_not_keep_the_others_waiting(store: JobStore, firing: Firing) -> None:
    away_for(store, 905, catchUp="all")
    firing.tick()
    assert len(jobs(store)) == 10
    tick_until_done(store, firing)
    assert len(jobs(store)) == 91


def test_all_is_bounded(store: JobStore, firing: Firing) -> None:
    away_for(store, 2005, catchUp="all")
    tick_until_done(store, firing)
    assert (len(jobs(store)), store.schedules.get("s").fires) == (100, 100)
    assert Counter(outcomes(store)) == {"created": 50}


def test_of_schedulers_at_the_same_work_each_moment_gets_one_job(store: JobStore, firing: Firing) -> None:
    away_for(store, 495, catchUp="all")
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(firing.tick) for _ in range(12)]:
            done.result()
    tick_until_done(store, firing)
    assert (len(jobs(store)), store.schedules.get("s").fires) == (50, 50)
    assert {late - early for late, early in pairwise(dues(store))} == {10_000}


def test_overlap_holds_while_moments_are_made_up_for(store: JobStore, firing: Firing) -> None:
    away_for(store, 35, overlap="skip")
    firing.tick()
    assert outcomes(store) == ["created", "overlap", "overlap", "overlap"]
    store.schedules.drop("s")
    away_for(store, 35, overlap="replace")
    firing.tick()
    assert Counter(job.status for job in jobs(store)) == {Status.QUEUED: 2, Status.CANCELLED: 3}


def test_jitter_delays_the_job_and_not_the_schedule(store: JobStore, firing: Firing) -> None:
    due = away_for(store, 990, catchUp="all", jitter=60_000, job={**JOB, "delay": 100_000})
    tick_until_done(store, firing)
    delays = [(job.due_at - job.created_at).total_seconds() for job in jobs(store) if job.due_at]
    assert len(delays) == 100
    assert 100 <= min(delays) < 120 and 140 < max(delays) <= 160
    assert store.schedules.get("s").next_at == due + timedelta(seconds=1000)


def test_on_request_it_begins_at_once_whatever_its_jitter(store: JobStore, firing: Firing) -> None:
    away_for(store, -3600, jitter=86_400_000, job={**JOB, "delay": None})
    for _ in range(3):
        firing.now("s")
    assert [job.status for job in jobs(store)] == [Status.QUEUED] * 3


def test_a_job_that_is_not_taken_any_more_is_noted_and_the_schedule_goes_on(store: JobStore, firing: Firing) -> None:
    due = away_for(store, 15, job={"type": "gone", "payload": {}})
    firing.tick()
    assert outcomes(store) == ["refused", "refused"]
    assert "gone" in store.schedules.history("s")[0]["message"]
    assert store.schedules.get("s").next_at == due + timedelta(seconds=20)


def test_a_schedule_that_cannot_be_read_here_is_left_to_others_and_hinders_none(
    store: JobStore, firing: Firing, capsys: pytest.CaptureFixture[str]
) -> None:
    away_for(store, 5, timezone="Mars/Olympus")
    spec = {"name": "t", "every": "10s", "job": JOB}
    now = store.schedules.now()
    store.schedules.put(Entry("t", spec, "r1", created_at=now, next_at=now), replaces="")
    firing.tick()
    firing.tick()
    assert [job.spec["tags"] for job in jobs(store)] == [["schedule:t"]]
    assert store.schedules.history("s") == []
    assert capsys.readouterr().out.count("schedule_unreadable") == 1


def test_a_change_between_looking_and_firing_wins(store: JobStore, firing: Firing) -> None:
    away_for(store, 0.5)
    entry = store.schedules.get("s")
    schedule = Schedule.model_validate(entry.spec)
    assert store.schedules.put(Entry("s", entry.spec, "r2", created_at=entry.created_at), replaces="r1")
    firing._catch_up(entry, schedule, store.schedules.now())
    assert (jobs(store), store.schedules.get("s").next_at) == ([], None)
