"""Limits: so many jobs at a time, so many in a span of time, over all workers; what is over waits and loses nothing."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

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
    kinds_of_keys,
    pop,
)
from tests.store.checking import places_in_doubt
from tests.waiting import eventually
from workplatform.errors import JobNotFoundError
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.events import EventLog
from workplatform.store.jobs import JobStore
from workplatform.store.records import Beat, Grant, NewJob, Refusal

OVER = Refusal("limit")


@pytest.fixture(autouse=True)
def everything_agrees(connector: Connector) -> Iterator[None]:
    """Hold what a test leaves behind against the records."""
    yield
    assert places_in_doubt(connector) == []


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


def test_a_job_under_several_limits_takes_all_or_none(store: JobStore) -> None:
    limited(store, "type:nap", "1 - -")
    holder = made(store, by="a", concurrency="1 x")
    claim(store, holder)
    limited(store, "type:nap", "2 - -")
    over = made(store, by="a", concurrency="1 x")
    assert ask(store, over) == OVER
    second = made(store, by="b")
    claim(store, second)
    assert waiting(store) == {"type:nap": 0, "concurrency:a:x": 1}
    third = made(store, by="b")
    assert ask(store, third) == OVER
    store.settle(holder.id, 1, completed())
    assert {store.get(job.id).status for job in (over, third)} == {Status.QUEUED}, "both limits have room for one"
    claim(store, third, word="again")
    assert ask(store, over, "again") == OVER
    assert waiting(store) == {"type:nap": 1}, "it was let on by one limit and waits for the other"
    claim(store, made(store, by="a", job_type="webp", concurrency="1 x"))


def test_room_that_a_job_cannot_use_goes_to_the_next(store: JobStore) -> None:
    limited(store, "type:nap", "1 - -")
    running = made(store)
    claim(store, running)
    blocked, free = made(store, concurrency="1 x"), made(store)
    assert [ask(store, job) for job in (blocked, free)] == [OVER, OVER]
    claim(store, made(store, job_type="webp", concurrency="1 x"))
    store.settle(running.id, 1, completed())
    assert waiting(store) == {"type:nap": 0, "concurrency:default:x": 1}
    claim(store, free, word="again")


def test_room_that_a_woken_job_finds_taken_goes_to_the_next(store: JobStore) -> None:
    limited(store, "type:nap", "1 - -")
    running = made(store)
    claim(store, running)
    late, free = made(store, concurrency="1 x"), made(store)
    assert [ask(store, job) for job in (late, free)] == [OVER, OVER]
    store.settle(running.id, 1, completed())
    claim(store, made(store, job_type="webp", concurrency="1 x"))
    assert ask(store, late, "again") == OVER
    claim(store, free, word="again")


def test_jobs_that_two_limits_hold_up_in_turn_are_woken_only_to_begin(store: JobStore, connector: Connector) -> None:
    limited(store, "type:nap", "- 60000 0")
    limited(store, "key:default", "1 - -")
    first, *others = (made(store) for _ in range(150))
    claim(store, first)
    assert {ask(store, job) for job in others} == {OVER}
    while pop(store):
        pass
    minutes_pass(connector, 1)
    for _ in range(2):
        store.limits.let_in()
    assert (waiting(store), pop(store)) == ({"type:nap": 0, "key:default": 149}, None), "there is a token and no place"
    assert store.get(others[-1].id).reason == "concurrency_limit"
    store.settle(first.id, 1, completed())
    granted = take(store)
    assert isinstance(granted, Grant) and granted.id == others[0].id
    assert store.settle(granted.id, 1, completed()).is_accepted
    connector.client.zadd("test:offers", {"key:default": 1})
    store.limits.let_in()
    assert (waiting(store), pop(store)) == ({"type:nap": 148, "key:default": 0}, None), "there is a place and no token"
    minutes_pass(connector, 1)
    store.limits.let_in()
    granted = take(store)
    assert isinstance(granted, Grant) and granted.id == others[1].id


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


def test_a_limit_survives_the_crash_of_its_holder(store: JobStore) -> None:
    limited(store, "type:nap", "1 - -")
    lost, parked = made(store), made(store)
    claim(store, lost, a_claimant(lease=GONE))
    assert ask(store, parked) == OVER
    eventually(lambda: store.due(10).lapsed == [lost.id])
    assert ask(store, made(store)) == OVER, "it is held until the scheduler has taken the job from its worker"
    assert store.reap(lost.id, 1, given_back(lost.id))
    claim(store, parked, word="again")
    assert ask(store, lost, "again") == OVER


def test_a_job_whose_worker_stops_is_first_in_the_line_of_its_limit(store: JobStore) -> None:
    limited(store, "type:nap", "1 - -")
    stopped, *parked = (made(store) for _ in range(4))
    while pop(store):
        pass
    claim(store, stopped)
    assert [ask(store, job) for job in parked] == [OVER] * 3
    assert store.settle(stopped.id, 1, given_back(stopped.id)).is_accepted
    again = take(store)
    assert isinstance(again, Grant) and again.id == stopped.id
    assert take(store) == OVER, "the one that its room was offered to meanwhile"
    settled = store.settle(stopped.id, 2, given_back(stopped.id), then=a_claimant(), claim="next")
    assert settled.next_grant is not None and settled.next_grant.id == parked[0].id
    assert ask(store, stopped.id, "later") == OVER
    store.settle(parked[0].id, 1, completed())
    claim(store, stopped, word="after that")


def test_a_cancelled_job_holds_its_limit_until_its_worker_has_ended_it(store: JobStore) -> None:
    running, parked = made(store, concurrency="1 x"), made(store, concurrency="1 x")
    claim(store, running)
    store.cancel(running.id, message="", callbacks=[])
    assert ask(store, parked) == OVER
    assert store.beat(LEASE, [Beat(running.id, 1)]) == ["cancelled"]
    store.release(running.id, 2)
    assert store.get(parked.id).status is Status.WAITING, "that was another attempt"
    store.release(running.id, 1)
    claim(store, parked, word="again")


def test_a_cancelled_job_whose_worker_died_holds_its_limit_no_longer_than_its_lease(store: JobStore) -> None:
    running, parked = made(store, concurrency="1 x"), made(store, concurrency="1 x")
    claim(store, running, a_claimant(lease=GONE))
    store.cancel(running.id, message="", callbacks=[])
    assert ask(store, parked) == OVER

    def is_let_in() -> bool:
        store.limits.let_in()
        return store.get(parked.id).status is Status.QUEUED

    eventually(is_let_in)
    claim(store, parked, word="again")


def test_a_cancelled_job_that_is_retried_at_once_waits_for_its_own_end(store: JobStore) -> None:
    job = made(store, concurrency="1 x")
    claim(store, job)
    store.cancel(job.id, message="", callbacks=[])
    assert store.retry(job.id, a_message(job.id)) is None
    assert ask(store, job, "again") == OVER
    store.release(job.id, 1)
    claim(store, job, word="later")


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


def minutes_pass(connector: Connector, number: int) -> None:
    """Do what time does to a bucket, and have the limit looked at."""
    full = float(connector.client.get("test:bucket:type:nap") or 0)
    connector.client.set("test:bucket:type:nap", full - number * 60_000)
    connector.client.zadd("test:offers", {"type:nap": 1})


def test_a_rate_lets_its_burst_begin_at_once_and_the_rest_as_tokens_come_back(
    store: JobStore, connector: Connector
) -> None:
    limited(store, "type:nap", "- 60000 120000")
    jobs = [made(store) for _ in range(7)]
    assert [isinstance(ask(store, job), Grant) for job in jobs] == [True] * 3 + [False] * 4
    record = store.get(jobs[3].id)
    assert (record.status, record.reason, record.attempts) == (Status.WAITING, "rate_limit", 0)
    store.limits.let_in()
    assert waiting(store)["type:nap"] == 4, "no token has come back yet"
    look = connector.client.zscore("test:offers", "type:nap")
    assert look is not None and look / 1000 <= time.time() + 60
    for passed, begun in ((1, [3]), (2, [4, 5])):
        minutes_pass(connector, passed)
        store.limits.let_in()
        store.limits.let_in()
        granted = [number for number in range(3, 7) if isinstance(ask(store, jobs[number], f"after {passed}"), Grant)]
        assert granted == begun
    assert waiting(store)["type:nap"] == 1


def test_a_rate_holds_nothing_when_jobs_end(store: JobStore, connector: Connector) -> None:
    limited(store, "type:nap", "- 60000 0")
    first, second = made(store), made(store)
    claim(store, first)
    assert ask(store, second) == OVER
    store.settle(first.id, 1, completed())
    assert store.get(second.id).status is Status.WAITING
    assert store.cancel(second.id, message="", callbacks=[]) == (True, "waiting")
    assert leftovers(connector) == set()
    assert 0 < connector.client.pttl("test:bucket:type:nap") <= 60_000


def test_a_full_node_costs_a_limited_job_neither_its_place_nor_a_part_of_its_limits(store: JobStore) -> None:
    limited(store, "type:nap", "1 600000 0")
    blocker = made(store, job_type="webp")
    claim(store, blocker, a_claimant(slots=1))
    job = made(store)
    refused = store.claim(job.id, a_claimant(slots=1), claim="x", message=job.message)
    assert refused == Refusal("no_slot")
    claim(store, job, word="elsewhere")


def test_a_worker_that_takes_the_next_job_by_itself_obeys_limits(store: JobStore, event_log: EventLog) -> None:
    limited(store, "type:nap", "1 - -")
    first, second, third = made(store), made(store), made(store)
    pop(store)
    claim(store, first)
    pop(store)
    assert ask(store, second) == OVER
    answer = store.settle(first.id, 1, completed(), then=a_claimant(), claim="next")
    assert answer.next_grant is not None and answer.next_grant.id == second.id
    told = [(event.job_id, event.status) for event in event_log.after("0-0")][-3:]
    assert told == [(first.id, "completed"), (second.id, "queued"), (second.id, "running")]
    assert isinstance(take(store), Refusal)
    assert store.get(third.id).status is Status.WAITING


def test_unknown_jobs_hold_nothing(store: JobStore) -> None:
    store.release("job_x", 1)
    with pytest.raises(JobNotFoundError):
        store.cancel("job_x", message="", callbacks=[])
