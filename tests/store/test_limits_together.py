"""Several limits over one job: it takes its part of all or of none, and holds up nobody else."""

import pytest

from tests.builders import claim, completed, pop
from tests.store.limiting import OVER, ask, limited, made, minutes_pass, take, waiting
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import Grant, NewJob

pytestmark = pytest.mark.usefixtures("everything_agrees")


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


def one_running_two_waiting(store: JobStore) -> tuple[NewJob, NewJob, NewJob]:
    """The job that holds a limit of one, and those that wait for it: the first has a limit of its own too."""
    limited(store, "type:nap", "1 - -")
    running = made(store)
    claim(store, running)
    first, free = made(store, concurrency="1 x"), made(store)
    assert [ask(store, job) for job in (first, free)] == [OVER, OVER]
    return running, first, free


def test_room_that_a_job_cannot_use_goes_to_the_next(store: JobStore) -> None:
    running, _, free = one_running_two_waiting(store)
    claim(store, made(store, job_type="webp", concurrency="1 x"))
    store.settle(running.id, 1, completed())
    assert waiting(store) == {"type:nap": 0, "concurrency:default:x": 1}
    claim(store, free, word="again")


def test_room_that_a_woken_job_finds_taken_goes_to_the_next(store: JobStore) -> None:
    running, late, free = one_running_two_waiting(store)
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
