"""Claiming the next job in the step that settles the last."""

from tests.builders import a_claimant, a_job, backing_off, claim, completed, pop
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob, Refusal


def queued(store: JobStore, *priorities: int) -> list[NewJob]:
    jobs = [a_job(priority=priority) for priority in priorities]
    store.create(jobs)
    return jobs


def test_the_most_urgent_and_oldest_job_of_the_queue_is_next(store: JobStore) -> None:
    first, later, urgent, soon = queued(store, 2, 2, 0, 1)
    assert pop(store) == urgent.id
    pop_first = claim(store, first)
    settled = store.settle(first.id, pop_first.fence, completed(), then=a_claimant(), claim="next")
    assert settled.is_accepted and settled.next_grant is not None
    assert (settled.next_grant.id, settled.next_grant.priority) == (soon.id, 1)
    assert store.get(soon.id).status is Status.RUNNING
    assert store.get(later.id).status is Status.QUEUED


def test_an_empty_queue_gives_no_next_job(store: JobStore) -> None:
    (only,) = queued(store, 2)
    pop(store)
    claim(store, only)
    settled = store.settle(only.id, 1, completed(), then=a_claimant(), claim="next")
    assert settled.is_accepted and settled.next_grant is None


def test_messages_of_jobs_that_are_gone_are_passed_over(store: JobStore) -> None:
    first, cancelled, wanted = queued(store, 2, 2, 2)
    pop(store)
    claim(store, first)
    store.cancel(cancelled.id, message="", callbacks=[])
    settled = store.settle(first.id, 1, backing_off(), then=a_claimant(), claim="next")
    assert settled.next_grant is not None and settled.next_grant.id == wanted.id
    assert pop(store) is None


def test_a_message_that_names_no_job_is_passed_over(store: JobStore, connector: Connector) -> None:
    first, wanted = queued(store, 2, 2)
    pop(store)
    claim(store, first)
    connector.client.rpush("test:nap\x06\x162", b"no message at all")
    settled = store.settle(first.id, 1, completed(), then=a_claimant(), claim="next")
    assert settled.next_grant is not None and settled.next_grant.id == wanted.id


def test_without_a_slot_the_message_stays_in_its_list(store: JobStore) -> None:
    node = a_claimant(slots=1)
    first, second = queued(store, 2, 2)
    pop(store)
    claim(store, first, node)
    webp = a_job(queue="webp", job_type="webp")
    store.create([webp])
    pop(store, "webp")
    store.claim(webp.id, node, claim="w", message=webp.message)
    settled = store.settle(first.id, 1, completed(), then=node, claim="next")
    assert settled.is_accepted and settled.next_grant is None, "the queue that was refused before us goes first"
    assert pop(store) == second.id


def test_a_call_repeated_after_a_lost_answer_gets_the_same_next_job(store: JobStore) -> None:
    first, second, third = queued(store, 2, 2, 2)
    pop(store)
    claim(store, first)
    answers = [store.settle(first.id, 1, completed(), then=a_claimant(), claim="next") for _ in range(2)]
    assert [answer.is_accepted for answer in answers] == [True, False]
    grants = [answer.next_grant for answer in answers]
    assert grants[0] is not None and grants[1] is not None
    assert (grants[0].id, grants[0].fence) == (grants[1].id, grants[1].fence) == (second.id, 1)
    assert store.get(third.id).status is Status.QUEUED


def test_an_attempt_that_lost_its_job_gets_no_next_one(store: JobStore) -> None:
    first, second = queued(store, 2, 2)
    pop(store)
    claim(store, first)
    store.cancel(first.id, message="", callbacks=[])
    settled = store.settle(first.id, 1, completed(), then=a_claimant(), claim="next")
    assert not settled.is_accepted and settled.next_grant is None
    assert pop(store) == second.id


def test_a_queue_that_waits_long_for_a_slot_keeps_its_place(store: JobStore) -> None:
    node = a_claimant(slots=1)
    first, _ = queued(store, 2, 2)
    pop(store)
    claim(store, first, node)
    webp = a_job(queue="webp", job_type="webp")
    store.create([webp])
    assert isinstance(store.claim(webp.id, node, claim="w", message=webp.message), Refusal)
    client = store._connector.client
    client.zincrby("test:slot-queue:n1", -60_000, "webp")
    assert not store.has_room("n1", "webp", 1)
    settled = store.settle(first.id, 1, completed(), then=node, claim="next")
    assert settled.next_grant is None
    assert store.has_room("n1", "webp", 1)
    claim(store, webp, node, word="now")


def test_a_queue_that_is_not_heard_of_any_more_loses_its_place(store: JobStore) -> None:
    node = a_claimant(slots=1)
    first, second = queued(store, 2, 2)
    pop(store)
    claim(store, first, node)
    webp = a_job(queue="webp", job_type="webp")
    store.create([webp])
    store.claim(webp.id, node, claim="w", message=webp.message)
    store._connector.client.zincrby("test:slot-queue:n1:seen", -60_000, "webp")
    settled = store.settle(first.id, 1, completed(), then=node, claim="next")
    assert settled.next_grant is not None and settled.next_grant.id == second.id


def test_many_cancelled_jobs_do_not_let_a_lower_priority_overtake(store: JobStore) -> None:
    (first,) = queued(store, 0)
    cancelled = queued(store, *[0] * 45)
    live, low = queued(store, 0, 4)
    pop(store)
    claim(store, first)
    for job in cancelled:
        store.cancel(job.id, message="", callbacks=[])
    settled = store.settle(first.id, 1, completed(), then=a_claimant(), claim="next")
    assert settled.next_grant is None
    assert store.get(low.id).status is Status.QUEUED
    assert store.get(live.id).status is Status.QUEUED
