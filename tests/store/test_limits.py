"""Limits: so many jobs at a time, so many in a span of time, over all workers; what is over waits and loses nothing."""

from typing import Any

import pytest

from tests.builders import a_job, backing_off, claim, completed, failed, pop
from tests.store.limiting import OVER, ask, leftovers, limited, made, take, waiting
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.events import EventLog
from workplatform.store.jobs import JobStore
from workplatform.store.records import Grant, NewJob

pytestmark = pytest.mark.usefixtures("everything_agrees")


def test_no_more_jobs_of_a_type_run_than_its_limit_says(store: JobStore) -> None:
    limited(store, "type:nap", "2 - -")
    first, second, third = (made(store) for _ in range(3))
    claim(store, first)
    claim(store, second, word="b")
    assert ask(store, third) == OVER
    record = store.get(third.id)
    assert (record.status, record.reason, record.attempts) == (Status.WAITING, "concurrency_limit", 0)
    other = made(store, job_type="webp")
    claim(store, other)


def ended_well(store: JobStore, job: NewJob) -> None:
    assert store.settle(job.id, 1, completed()).is_accepted


def ended_badly(store: JobStore, job: NewJob) -> None:
    assert store.settle(job.id, 1, failed()).is_accepted


def backed_off(store: JobStore, job: NewJob) -> None:
    assert store.settle(job.id, 1, backing_off(delay_ms=60_000)).is_accepted


def cancelled_and_let_go(store: JobStore, job: NewJob) -> None:
    store.cancel(job.id, message="", callbacks=[])
    store.release(job.id, 1)


@pytest.mark.parametrize("end", [ended_well, ended_badly, backed_off, cancelled_and_let_go])
def test_a_parked_job_is_first_in_line_as_soon_as_there_is_room(
    store: JobStore, event_log: EventLog, connector: Connector, end: object
) -> None:
    limited(store, "type:nap", "1 - -")
    running, parked = made(store), made(store)
    claim(store, running)
    pop(store), pop(store)
    assert ask(store, parked) == OVER
    made(store, job_type="webp")
    assert callable(end)
    end(store, running)
    assert store.get(parked.id).status is Status.QUEUED
    answer = take(store)
    assert isinstance(answer, Grant) and (answer.id, answer.attempts) == (parked.id, 1)
    told = [event.status for event in event_log.after("0-0") if event.job_id == parked.id]
    assert told == ["queued", "waiting", "queued", "running"]
    store.settle(parked.id, 1, completed())
    assert leftovers(connector) == set()


def test_a_limit_of_an_api_key_spans_types_and_leaves_other_keys_alone(store: JobStore) -> None:
    limited(store, "key:shop", "1 - -")
    claim(store, made(store, by="shop"))
    assert ask(store, made(store, by="shop", job_type="webp")) == OVER
    claim(store, made(store, by="other"))
    limited(store, "key:default", "1 - -")
    claim(store, made(store))
    assert ask(store, made(store)) == OVER


def test_a_concurrency_key_is_the_callers_own(store: JobStore) -> None:
    mine = [made(store, by="a", concurrency="2 film: 17 ü") for _ in range(3)]
    assert [isinstance(ask(store, job), Grant) for job in mine] == [True, True, False]
    claim(store, made(store, by="b", concurrency="1 film: 17 ü"))
    claim(store, made(store, by="a", concurrency="1 film: 18"))
    store.settle(mine[0].id, 1, completed())
    claim(store, mine[2], word="again")


@pytest.mark.parametrize("end", ["cancel", "expire"])
def test_a_woken_job_that_ends_instead_passes_its_room_on(store: JobStore, connector: Connector, end: str) -> None:
    limited(store, "type:nap", "1 - -")
    running = made(store)
    claim(store, running)
    first, second = made(store, ttl=60_000), made(store)
    assert [ask(store, job) for job in (first, second)] == [OVER, OVER]
    store.settle(running.id, 1, completed())
    assert store.get(first.id).status is Status.QUEUED
    if end == "cancel":
        store.cancel(first.id, message="", callbacks=[])
    else:
        connector.client.zadd("test:limited", {first.id: 1})
        assert store.expire(first.id, message="", error=b'{"code":"expired","message":"late"}', callbacks=[])
    claim(store, second, word="again")


@pytest.mark.parametrize("terms", [{}, {"ttl": 60_000}, {"within": 60_000}])
def test_a_parked_job_can_be_cancelled_and_can_expire(
    store: JobStore, connector: Connector, terms: dict[str, Any]
) -> None:
    limited(store, "type:nap", "1 - -")
    running = made(store)
    claim(store, running)
    parked = made(store, **terms)
    assert ask(store, parked) == OVER
    if terms:
        connector.client.zadd("test:limited", {parked.id: 1})
        assert store.expire(parked.id, message="late", error=b'{"code":"expired","message":"late"}', callbacks=[])
        assert store.get(parked.id).status is Status.FAILED
    else:
        assert store.cancel(parked.id, message="", callbacks=[]) == (True, "waiting")
    assert waiting(store)["type:nap"] == 0
    store.settle(running.id, 1, completed())
    pop(store), pop(store)
    assert pop(store) is None
    assert leftovers(connector) == set()


def test_a_unique_key_is_held_while_its_job_is_parked(store: JobStore) -> None:
    limited(store, "type:nap", "1 - -")
    claim(store, made(store))
    parked = made(store, unique="film")
    assert ask(store, parked) == OVER
    again = a_job()._replace(terms=b'{"unique":"film"}')
    assert store.create([again]).others == {again.id: parked.id}


def test_raising_a_limit_lets_jobs_in_and_lowering_it_ends_none(store: JobStore) -> None:
    limited(store, "type:nap", "1 - -")
    jobs = [made(store) for _ in range(5)]
    granted = [isinstance(ask(store, job), Grant) for job in jobs]
    assert granted == [True, False, False, False, False]
    limited(store, "type:nap", "3 - -")
    assert [store.get(job.id).status for job in jobs] == ["running", "queued", "queued", "waiting", "waiting"]
    claim(store, jobs[1], word="again")
    claim(store, jobs[2], word="again")
    limited(store, "type:nap", "1 - -")
    store.settle(jobs[0].id, 1, completed())
    store.settle(jobs[1].id, 1, completed())
    assert store.get(jobs[2].id).status is Status.RUNNING
    assert store.get(jobs[3].id).status is Status.WAITING
    store.limits.take_back("type:nap")
    assert [store.get(job.id).status for job in jobs[3:]] == ["queued", "queued"]


def test_what_is_set_at_run_time_wins_over_what_is_configured(store: JobStore) -> None:
    store.limits.configure({"type:nap": {"rule": "1 - -"}, "key:shop": {"rule": "2 - -"}})
    claim(store, made(store))
    parked = made(store)
    assert ask(store, parked) == OVER
    limited(store, "type:nap", "- - -")
    claim(store, parked, word="again")
    store.limits.take_back("type:nap")
    assert ask(store, made(store)) == OVER
    store.limits.configure({"type:nap": {"rule": "7 - -"}})
    [state] = store.limits.states()
    assert (state.name, state.configured, state.changed) == ("type:nap", {"rule": "7 - -"}, None)
    assert (state.running, state.waiting) == (2, 0)


def test_many_parked_jobs_are_let_in_in_bounded_steps(store: JobStore) -> None:
    limited(store, "type:nap", "1 - -")
    for _ in range(60):
        ask(store, made(store))
    limited(store, "type:nap", "- - -")
    assert waiting(store)["type:nap"] == 59 - 20
    while waiting(store)["type:nap"]:
        store.limits.let_in()
    assert len({answer.id for _ in range(59) if isinstance(answer := take(store), Grant)}) == 59


def test_parked_jobs_of_different_keys_are_woken_in_turns_and_the_urgent_ones_first(store: JobStore) -> None:
    limited(store, "type:nap", "1 - -")
    running = made(store)
    claim(store, running)
    jobs = [made(store, by="a") for _ in range(10)] + [made(store, by="b") for _ in range(2)]
    jobs += [made(store, by="a", priority=1)]
    for job in jobs:
        ask(store, job)
    while pop(store):
        pass
    order = []
    ending = running.id
    for _ in jobs:
        store.settle(ending, 1, completed())
        answer = take(store)
        assert isinstance(answer, Grant)
        ending = answer.id
        order.append(next(number for number, job in enumerate(jobs) if job.id == answer.id))
    assert order == [12, 0, 10, 1, 11, 2, 3, 4, 5, 6, 7, 8, 9]


def test_a_job_that_comes_later_does_not_pass_those_that_wait(store: JobStore) -> None:
    limited(store, "type:nap", "1 - -")
    running, parked = made(store), [made(store), made(store)]
    claim(store, running)
    assert [ask(store, job) for job in parked] == [OVER, OVER]
    store.settle(running.id, 1, completed())
    assert ask(store, made(store)) == OVER
    claim(store, parked[0], word="again")


def test_a_woken_job_that_nobody_claims_does_not_keep_the_room_from_others(
    store: JobStore, connector: Connector
) -> None:
    limited(store, "key:default", "1 - -")
    running, sleeping, other = made(store), made(store), made(store, job_type="webp")
    claim(store, running)
    assert [ask(store, job) for job in (sleeping, other)] == [OVER, OVER]
    store.settle(running.id, 1, completed())
    assert [store.get(job.id).status for job in (sleeping, other)] == ["queued", "waiting"]
    store.limits.let_in()
    assert store.get(other.id).status is Status.WAITING, "its worker may be about to claim it"
    connector.client.zadd("test:woken:key:default", {sleeping.id: 1})
    connector.client.zadd("test:offers", {"key:default": 1})
    store.limits.let_in()
    claim(store, other, word="again")
    assert ask(store, sleeping, "again") == OVER
