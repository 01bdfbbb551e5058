"""Batches: they grow, end, are told of once, and the rest of one is cancelled and retried."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.builders import a_job, claim, completed, failed
from tests.store.test_dependencies import a_child
from tests.store.test_groups import HOOK, a_batch, a_flow, counts, end, endings, statuses, swept, work_off
from workplatform.groups import grouped
from workplatform.groupwire import status_of
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob

OTHER_HOOK = {"onFailure": "https://example.com/other"}


def messages(jobs: Sequence[NewJob]) -> list[tuple[str, bytes]]:
    return [(job.id, job.message) for job in jobs]


def a_held_twin(store: JobStore) -> NewJob:
    """A job that is not made, since another one holds its unique key."""
    store.create([a_job()._replace(terms=b'{"unique":"u"}')])
    return a_job()._replace(terms=b'{"unique":"u"}')


def test_a_batch_ends_with_its_last_job_and_is_told_of_once(store: JobStore) -> None:
    jobs = a_batch(store, 3, **HOOK)
    end(store, jobs[0], failed())
    store.cancel(jobs[1].id, message="", callbacks=[])
    assert (endings(store), store.groups.get("batch:b").finished_at) == ([], None)
    end(store, jobs[2])
    assert endings(store) == ["batch:b"]
    group, callback = store.groups.get("batch:b"), a_job()
    assert group.finished_at is not None
    assert store.groups.tell(group, [callback])
    assert not store.groups.tell(group, [a_job()])
    assert (endings(store), store.get(callback.id).status) == ([], Status.QUEUED)


def test_a_batch_that_nobody_wants_to_hear_of_ends_silently(store: JobStore) -> None:
    [job] = a_batch(store, 1)
    end(store, job)
    assert (endings(store), store.groups.get("batch:b").finished_at is not None) == ([], True)


def test_an_end_that_is_taken_back_before_it_was_told_is_not_told(store: JobStore) -> None:
    [job] = a_batch(store, 1, **HOOK)
    end(store, job, failed())
    group = store.groups.get("batch:b")
    store.retry(job.id, job.message)
    assert (endings(store), store.groups.get("batch:b").finished_at) == ([], None)
    assert not store.groups.tell(group, [a_job()])
    end(store, job)
    assert store.groups.tell(store.groups.get("batch:b"), [])


def test_jobs_added_to_a_batch_that_has_ended_open_it_again(store: JobStore) -> None:
    [job] = a_batch(store, 1, **HOOK)
    end(store, job)
    a_batch(store, 1)
    assert (endings(store), counts(store)) == ([], {"completed": 1, "queued": 1})
    assert store.groups.get("batch:b").spec == HOOK


def test_a_batch_of_which_no_job_was_made_has_ended(store: JobStore) -> None:
    held = a_job()._replace(terms=b'{"unique":"u"}')
    store.create([held])
    twin = a_job()._replace(terms=b'{"unique":"u"}')
    store.create(grouped([twin], "batch:b", HOOK))
    assert endings(store) == ["batch:b"]


def test_work_that_nobody_finishes_stays_noted_for_the_scheduler(store: JobStore) -> None:
    jobs = a_batch(store, 5)
    assert store.groups.begin("batch:b", "cancel") == "ok"
    assert store.groups.due(10).work == ["batch:b"]
    work = store.groups.next_work("batch:b", most=2)
    assert work is not None
    store.cancel(work.job_ids[0], message="", callbacks=[])
    assert store.groups.begin("batch:b", "retry") == "busy"
    assert store.groups.begin("batch:b", "cancel") == "ok"
    assert len(work_off(store, "batch:b")) == 4
    assert (statuses(store, jobs), store.groups.due(10).work) == (["cancelled"] * 5, [])


def test_retrying_a_batch_takes_each_job_once_even_if_it_fails_again(store: JobStore) -> None:
    jobs = a_batch(store, 4)
    for job in jobs[:2]:
        end(store, job, failed())
    store.cancel(jobs[2].id, message="", callbacks=[])
    end(store, jobs[3])
    assert store.groups.begin("batch:b", "retry") == "ok"
    work = store.groups.next_work("batch:b", most=1)
    assert work is not None
    assert work.job_ids == [jobs[0].id]
    assert store.groups.retry_members("batch:b", messages(jobs[:1])) == 1
    end(store, jobs[0], failed())
    assert store.groups.retry_members("batch:b", messages(jobs[:1])) == 0, "another scheduler that is late"
    store.groups.next_work("batch:b", most=1, done=work.last)
    assert work_off(store, "batch:b", most=1) == [jobs[1].id, jobs[2].id]
    assert statuses(store, jobs) == ["failed", "queued", "queued", "completed"]
    assert store.groups.begin("batch:b", "retry") == "ok"


def test_retrying_a_batch_goes_on_past_a_job_that_cannot_be_retried(store: JobStore) -> None:
    jobs = [a_job()._replace(terms=b'{"unique":"u"}'), a_job()]
    jobs = grouped(jobs, "batch:b", {})
    store.create(jobs)
    for job in jobs:
        end(store, job, failed())
    store.create([a_job()._replace(terms=b'{"unique":"u"}')])
    store.groups.begin("batch:b", "retry")
    assert work_off(store, "batch:b", most=1) == [jobs[0].id, jobs[1].id]
    assert statuses(store, jobs) == ["failed", "queued"]


def test_there_is_nothing_to_retry_in_a_batch_without_failures(store: JobStore) -> None:
    a_batch(store)
    assert store.groups.begin("batch:b", "retry") == "nothing"


def test_a_batch_goes_with_its_last_job(store: JobStore, connector: Connector) -> None:
    first, second = a_batch(store, 2)
    end(store, first)
    assert swept(store) == 1
    assert counts(store) == {"queued": 1}
    end(store, second)
    assert swept(store) == 1
    assert not list(connector.client.scan_iter("test:*batch*"))


def test_a_job_that_was_not_made_opens_no_batch_that_has_ended(store: JobStore) -> None:
    [job] = a_batch(store, 1, **HOOK)
    end(store, job)
    ended = store.groups.get("batch:b")
    assert store.groups.tell(ended, [])
    store.create(grouped([a_held_twin(store)], "batch:b", {}))
    assert (endings(store), store.groups.get("batch:b").finished_at) == ([], ended.finished_at)


@pytest.mark.parametrize("spec", [HOOK, {"tags": ["a"]}])
def test_a_batch_that_never_had_a_job_is_forgotten_once_it_was_told_of(
    store: JobStore, connector: Connector, spec: dict[str, Any]
) -> None:
    twin = a_held_twin(store)
    store.create(grouped([twin], "batch:b", spec))
    if spec is HOOK:
        assert connector.client.pttl("test:group:batch:b") == -1
        assert store.groups.tell(store.groups.get("batch:b"), [])
    assert connector.client.pttl("test:group:batch:b") > 0
    a_batch(store, 1)
    assert connector.client.pttl("test:group:batch:b") == -1, "now it has one"


@pytest.mark.parametrize(
    ("more", "expected"), [({"by": "shop"}, HOOK), ({"tags": ["x"]}, HOOK), (OTHER_HOOK, OTHER_HOOK)]
)
def test_what_was_said_of_a_batch_gives_way_to_other_receivers_alone(
    store: JobStore, more: dict[str, Any], expected: dict[str, Any]
) -> None:
    a_batch(store, 1, **HOOK)
    a_batch(store, 1, **more)
    assert store.groups.get("batch:b").spec == expected


def a_bound_batch(store: JobStore, *, most_children: int) -> list[NewJob]:
    """A batch whose jobs, but for the first one, each wait for the one before."""
    jobs = [a_job()]
    for _ in range(most_children):
        jobs.append(a_child(jobs[-1]))
    jobs = grouped(jobs, "batch:b", {})
    store.create(jobs)
    return jobs


def test_parents_begin_again_before_their_children_whichever_ended_first(store: JobStore) -> None:
    jobs = a_bound_batch(store, most_children=5)
    store.groups.begin("batch:b", "cancel")
    assert work_off(store, "batch:b") == [job.id for job in reversed(jobs)]
    store.groups.begin("batch:b", "retry")
    assert work_off(store, "batch:b")[:6] == [job.id for job in jobs]
    assert counts(store) == {"queued": 1, "waiting": 5}


def test_a_batch_that_is_being_cancelled_ends_its_jobs_by_its_own_word(store: JobStore) -> None:
    [parent, child] = a_bound_batch(store, most_children=1)
    outsider = a_child(parent)
    store.create([outsider])
    store.groups.begin("batch:b", "cancel")
    store.cancel(parent.id, message="", callbacks=[])
    assert store.groups.due(10).doomed == [outsider.id]
    assert work_off(store, "batch:b") == [child.id]
    assert statuses(store, [parent, child]) == ["cancelled", "cancelled"]


def test_a_group_that_completed_before_anything_of_it_was_cancelled_has_completed(store: JobStore) -> None:
    [job] = a_flow(store, [])
    claim(store, job, word="w")
    assert store.groups.begin("flow:f", "cancel") == "ok"
    assert store.settle(job.id, 1, completed()).is_accepted
    assert work_off(store, "flow:f") == []
    assert status_of(store.groups.get("flow:f")) is Status.COMPLETED
