"""Dependencies: a job waits for its parents, and begins, fails or is skipped when they have ended."""

import json
from typing import Any

import pytest

from tests.builders import (
    GONE,
    a_claimant,
    a_job,
    backing_off,
    claim,
    completed,
    failed,
    given_back,
    pop,
)
from tests.waiting import eventually
from workplatform.states import Event, Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob, Refusal, Settlement

SKIPPED = Settlement(Status.CANCELLED, Event.CANCELLED, "nothing", message="skipped")


def a_child(*parents: NewJob, **terms: Any) -> NewJob:
    return a_job()._replace(terms=json.dumps({"dependsOn": [parent.id for parent in parents], **terms}).encode())


def family(store: JobStore, parents: int = 1, **terms: Any) -> tuple[list[NewJob], NewJob]:
    older = [a_job() for _ in range(parents)]
    child = a_child(*older, **terms)
    store.create([*older, child])
    return older, child


def end(store: JobStore, job: NewJob, ending: Settlement | None = None) -> None:
    grant = claim(store, job, word=f"{job.id}-ends")
    assert store.settle(job.id, grant.fence, ending or completed()).is_accepted


def status(store: JobStore, job: NewJob) -> Status:
    return store.get(job.id).status


def doomed(store: JobStore) -> list[str]:
    return store.groups.due(100).doomed


def test_a_job_with_an_open_parent_waits_and_has_no_message(store: JobStore) -> None:
    [parent], child = family(store)
    record = store.get(child.id)
    assert (record.status, record.reason, record.parents) == (Status.WAITING, "dependencies", [parent.id])
    assert store.claim(child.id, a_claimant(), claim="x", message=child.message) == Refusal("waiting")
    assert [pop(store), pop(store)] == [parent.id, None]
    assert store.due(10).scheduled == []


def test_the_last_parent_that_completes_queues_it_in_the_same_step(store: JobStore) -> None:
    [first, second], child = family(store, 2)
    pop(store), pop(store)
    end(store, second)
    assert (status(store, child), pop(store)) == (Status.WAITING, None)
    end(store, first)
    assert (status(store, child), store.get(child.id).reason, pop(store)) == (Status.QUEUED, None, child.id)
    end(store, child)


def test_the_worker_that_ends_the_parent_may_take_the_child_in_the_same_call(store: JobStore) -> None:
    [parent], child = family(store)
    pop(store)
    claim(store, parent)
    settled = store.settle(parent.id, 1, completed(), then=a_claimant(), claim="next")
    assert settled.next_grant is not None
    assert settled.next_grant.id == child.id


def test_parents_that_have_completed_are_no_reason_to_wait(store: JobStore) -> None:
    parent = a_job()
    store.create([parent])
    end(store, parent)
    pop(store)
    child = a_child(parent)
    store.create([child])
    assert (status(store, child), pop(store)) == (Status.QUEUED, child.id)


def test_a_parent_that_is_not_known_refuses_the_job_alone(store: JobStore) -> None:
    orphan, other = a_child(a_job()), a_job()
    created = store.create([orphan, other])
    assert created.orphans == {orphan.id: json.loads(orphan.terms)["dependsOn"][0]}
    assert (created.others, status(store, other)) == ({}, Status.QUEUED)


@pytest.mark.parametrize("ending", [backing_off(delay_ms=60_000), given_back("job_x")])
def test_an_attempt_that_does_not_end_the_parent_changes_nothing(store: JobStore, ending: Settlement) -> None:
    [parent], child = family(store)
    end(store, parent, ending)
    assert (status(store, child), doomed(store)) == (Status.WAITING, [])


@pytest.mark.parametrize("policy", [{}, {"onParent": "skip"}])
def test_a_parent_that_fails_dooms_its_child_at_once_whatever_the_others_do(
    store: JobStore, policy: dict[str, str]
) -> None:
    [first, second], child = family(store, 2, **policy)
    end(store, first, failed())
    assert (status(store, child), doomed(store), store.get(child.id).doom) == (Status.WAITING, [child.id], first.id)
    end(store, second)
    assert (status(store, child), doomed(store)) == (Status.WAITING, [child.id])
    assert not store.promote(child.id, child.message)


def test_a_cancelled_parent_counts_as_one_that_has_not_completed(store: JobStore) -> None:
    [parent], child = family(store)
    store.cancel(parent.id, message="", callbacks=[])
    assert doomed(store) == [child.id]


def test_a_child_that_continues_runs_after_any_ending(store: JobStore) -> None:
    [first, second, third], child = family(store, 3, onParent="continue")
    end(store, first, failed())
    store.cancel(second.id, message="", callbacks=[])
    assert status(store, child) is Status.WAITING
    end(store, third)
    assert (status(store, child), doomed(store)) == (Status.QUEUED, [])


def test_a_parent_that_had_failed_before_dooms_a_new_child(store: JobStore) -> None:
    parent = a_job()
    store.create([parent])
    end(store, parent, failed())
    strict, lenient = a_child(parent), a_child(parent, onParent="continue")
    store.create([strict, lenient])
    assert (status(store, strict), doomed(store)) == (Status.WAITING, [strict.id])
    assert status(store, lenient) is Status.QUEUED


def test_a_doomed_job_is_ended_once_and_its_own_children_follow(store: JobStore) -> None:
    [parent], child = family(store)
    grandchild, callback = a_child(child, onParent="skip"), a_job()
    store.create([grandchild])
    end(store, parent, failed())
    ending = Settlement(
        Status.FAILED, Event.FAILED, "nothing", "no", error=b'{"message":"no","code":"c"}', callbacks=[callback]
    )
    assert store.groups.end_child(child.id, parent.id, ending)
    assert not store.groups.end_child(child.id, parent.id, ending)
    record = store.get(child.id)
    assert (record.status, record.message, record.doom, status(store, callback)) == (
        Status.FAILED,
        "no",
        None,
        Status.QUEUED,
    )
    assert doomed(store) == [grandchild.id]
    assert store.groups.end_child(grandchild.id, child.id, SKIPPED)
    assert (status(store, grandchild), doomed(store)) == (Status.CANCELLED, [])


def test_a_doomed_job_that_was_cancelled_meanwhile_is_left_alone(store: JobStore) -> None:
    [parent], child = family(store)
    end(store, parent, failed())
    store.cancel(child.id, message="mine", callbacks=[])
    assert not store.groups.end_child(child.id, parent.id, SKIPPED)
    assert (store.get(child.id).message, doomed(store)) == ("mine", [])


def test_a_parent_that_ends_after_its_child_was_cancelled_does_not_wake_it(store: JobStore) -> None:
    [parent], child = family(store)
    store.cancel(child.id, message="", callbacks=[])
    end(store, parent)
    assert (status(store, child), pop(store), pop(store)) == (Status.CANCELLED, parent.id, None)


def test_a_delay_counts_from_the_end_of_the_parents(store: JobStore) -> None:
    [parent], child = family(store, delay=150)
    assert store.due(10).scheduled == []
    end(store, parent)
    record = store.get(child.id)
    assert (record.status, record.reason) == (Status.SCHEDULED, "delay")
    eventually(lambda: store.due(10).scheduled == [child.id])
    assert store.promote(child.id, child.message)
    end(store, child)


def test_a_moment_that_has_passed_by_then_does_not_hold_it_up(store: JobStore) -> None:
    [parent], child = family(store, runAt=1)
    end(store, parent)
    assert status(store, child) is Status.QUEUED


def test_time_counts_from_the_submission_while_it_waits(store: JobStore) -> None:
    [parent], child = family(store, ttl=1, within=3_600_000)
    eventually(lambda: store.due(10).expired == [child.id])
    assert store.expire(child.id, message="late", error=b'{"code":"expired"}', callbacks=[])
    assert status(store, child) is Status.FAILED
    end(store, parent)
    assert status(store, child) is Status.FAILED


def test_a_job_joins_its_series_when_its_parents_are_done(store: JobStore) -> None:
    [parent], child = family(store, series="deploy:p")
    later = a_job()._replace(terms=b'{"series":"deploy:p"}')
    store.create([later])
    assert store.series("deploy:p") == [later.id]
    end(store, parent)
    assert store.series("deploy:p") == [later.id, child.id]
    assert store.claim(later.id, a_claimant(), claim="l", message=later.message) == Refusal("series")


def test_a_waiting_job_of_a_series_leaves_others_of_it_in_peace(store: JobStore) -> None:
    [_], child = family(store, series="deploy:p")
    other = a_job()._replace(terms=b'{"series":"deploy:p"}')
    store.create([other])
    end(store, other)
    assert store.due(10).scheduled == []
    store.cancel(child.id, message="", callbacks=[])
    assert (status(store, child), store.series("deploy:p")) == (Status.CANCELLED, [])


def test_a_waiting_job_holds_its_unique_key(store: JobStore) -> None:
    _, child = family(store, unique="film-1")
    twin = a_job()._replace(terms=b'{"unique":"film-1"}')
    assert store.create([twin]).others == {twin.id: child.id}


def test_a_parent_whose_worker_is_lost_for_good_dooms_its_children(store: JobStore) -> None:
    [parent], child = family(store)
    claim(store, parent, a_claimant(lease=GONE))
    eventually(lambda: store.due(10).lapsed == [parent.id])
    assert store.reap(parent.id, 1, failed())
    assert doomed(store) == [child.id]


def test_thousands_of_children_are_told_in_bounded_steps_in_their_order(store: JobStore) -> None:
    parent = a_job()
    store.create([parent])
    children = [a_child(parent) for _ in range(350)]
    store.create(children)
    pop(store)
    end(store, parent)
    told = [child for child in children if status(store, child) is Status.QUEUED]
    assert told == children[:100]
    eventually(lambda: store.groups.due(10).releasing == 0)
    assert [pop(store) for _ in children] == [child.id for child in children]


def test_parents_that_are_swept_have_told_their_children(store: JobStore, connector: Connector) -> None:
    parent = a_job()
    store.create([parent])
    children = [a_child(parent) for _ in range(150)]
    store.create(children)
    end(store, parent)
    rules = {"ages": {":completed": 0, ":failed": 0, ":cancelled": 0}, "bounds": []}
    eventually(lambda: bool(store.sweep(json.dumps(rules).encode(), 10)))
    assert not connector.client.exists(f"test:job:{parent.id}")
    store.groups.due(10)
    assert {status(store, child) for child in children} == {Status.QUEUED}
    assert not list(connector.client.scan_iter("test:children:*"))


def test_nothing_is_left_of_a_family_that_has_ended(store: JobStore, connector: Connector) -> None:
    [parent], child = family(store)
    end(store, parent)
    end(store, child)
    left = {key.decode() for key in connector.client.scan_iter("test:*")}
    assert not {key for key in left if "children" in key or key in ("test:doomed", "test:releasing")}
    assert not connector.client.hexists(f"test:job:{child.id}", "wakeup")
    assert not connector.client.hexists(f"test:job:{child.id}", "open")
