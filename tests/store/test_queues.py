"""Queues that are paused: nothing of them is claimed, and nothing of them is lost."""

from tests.builders import a_claimant, a_job, claim, completed, pop
from workplatform.states import Status
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob, Refusal


def made(store: JobStore, *, priority: int = 2) -> NewJob:
    job = a_job(priority=priority)
    store.create([job])
    return job


def pause(store: JobStore) -> None:
    store.queues.pause("nap", is_paused=True)


def resume(store: JobStore) -> None:
    store.queues.pause("nap", is_paused=False)


def test_a_job_of_a_paused_queue_stays_first_in_line(store: JobStore) -> None:
    first, second = made(store), made(store)
    pause(store)
    assert pop(store) == first.id
    refused = store.claim(first.id, a_claimant(), claim="w", message=first.message)
    assert refused == Refusal("paused")
    assert isinstance(refused, Refusal) and refused.is_of_queue
    assert store.get(first.id).status is Status.QUEUED
    resume(store)
    assert [pop(store), pop(store)] == [first.id, second.id]
    claim(store, first)


def test_what_runs_goes_on_and_claims_nothing_after_it(store: JobStore) -> None:
    running, waiting = made(store), made(store)
    pop(store)
    claim(store, running)
    pause(store)
    settled = store.settle(running.id, 1, completed(), then=a_claimant(), claim="next")
    assert (settled.is_accepted, settled.next_grant) == (True, None)
    assert pop(store) == waiting.id


def test_a_worker_of_a_paused_queue_asks_again_when_it_is_resumed(store: JobStore) -> None:
    made(store)
    pause(store)
    assert not store.has_room("n1", "nap", 5)
    resume(store)
    assert store.has_room("n1", "nap", 5)


def test_a_paused_queue_takes_no_slot_from_others(store: JobStore) -> None:
    made(store)
    pause(store)
    store.has_room("n1", "nap", 1)
    other = a_job(job_type="webp", queue="webp")
    store.create([other])
    claim(store, other, a_claimant(slots=1))


def test_queued_jobs_are_listed_as_they_will_run(store: JobStore) -> None:
    late, first, second = made(store, priority=4), made(store, priority=0), made(store, priority=0)
    assert store.queues.queued("nap", most=10) == [first.id, second.id, late.id]
    assert store.queues.queued("nap", most=1) == [first.id]
