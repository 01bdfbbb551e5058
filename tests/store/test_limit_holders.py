"""Who holds a limit: attempts, until they have really ended, and nobody else."""

import pytest

from tests.builders import GONE, LEASE, a_claimant, a_message, claim, completed, given_back, pop
from tests.store.limiting import OVER, ask, limited, made, take
from tests.waiting import eventually
from workplatform.errors import JobNotFoundError
from workplatform.states import Status
from workplatform.store.events import EventLog
from workplatform.store.jobs import JobStore
from workplatform.store.records import Beat, Grant, Refusal

pytestmark = pytest.mark.usefixtures("everything_agrees")


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
