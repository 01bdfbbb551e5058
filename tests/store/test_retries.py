"""Retries in the store: one job that is changed by it, and many, step by step, whoever does the steps."""

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.builders import a_job, a_message, claim, completed, pop
from tests.store.test_failures import failed, failing, found
from tests.waiting import pass_a_millisecond
from workplatform.retention import sweeping_rules
from workplatform.states import Status
from workplatform.store.failures import FailureFilter, Place
from workplatform.store.jobs import JobStore
from workplatform.store.retries import Edit, Operation, RetryNotFoundError

TOP = Place()


def an_edit(store: JobStore, job_id: str, *, tags: Sequence[str] = (), priority: int = 2, series: str = "") -> Edit:
    """A change of a job as it stands."""
    at = store.get(job_id).finished_at
    spec = json.dumps({"payload": {"n": 2}, "tags": tags}, separators=(",", ":")).encode()
    former = b'{"before":{"payload":{"list":[]}},"error":{"message":"no"}}'
    return Edit(round(at.timestamp() * 1000) if at else 0, spec, priority, series, former)


def begin(store: JobStore, *, canary: int = 0) -> Operation:
    """A retry of all failed jobs."""
    store.retries.begin("retry_1", {}, total=None, canary=canary)
    return store.retries.get("retry_1")


def step(store: JobStore, operation: Operation, *, limit: int = 50) -> bool:
    """Do the operation's next step, as it was read."""
    page = store.failures.page(FailureFilter(), limit=limit, below=operation.place)
    jobs = [(record.id, a_message(record.id)) for record in page.records]
    return store.retries.step(operation, page.following, jobs)


def statuses(store: JobStore, jobs: Sequence[str]) -> list[str]:
    return [store.get(job_id).status.value for job_id in jobs]


def test_a_job_begins_again_as_it_was_changed_and_keeps_what_it_was(store: JobStore) -> None:
    job = failed(store, tags=("red",))
    assert store.retries.one(job, a_message(job), an_edit(store, job, tags=["blue"], priority=0)) is None
    record = store.get(job)
    assert (record.status, record.priority, record.spec["payload"]) == (Status.QUEUED, 0, {"n": 2})
    assert record.error is None
    [edit] = record.edits
    assert (edit["before"], edit["error"]) == ({"payload": {"list": []}}, {"message": "no"})
    assert pop(store) == job
    assert found(store) == found(store, tag="red") == []

    claim(store, a_job()._replace(id=job), word="again")
    store.settle(job, 2, failing("nap", "timeout", "no", ["blue"]))
    assert (found(store, tag="red"), found(store, tag="blue")) == ([], [job])
    assert store.retries.one(job, a_message(job), an_edit(store, job)) is None
    assert [edit["before"] for edit in store.get(job).edits] == [{"payload": {"list": []}}] * 2


def test_a_change_of_what_has_gone_on_meanwhile_is_refused(store: JobStore) -> None:
    job = failed(store)
    edit = an_edit(store, job)
    stale = Edit(edit.ended_ms - 1, *[getattr(edit, name) for name in ("spec", "priority", "series", "former")])
    refusal = store.retries.one(job, a_message(job), stale)
    assert refusal is not None and "ended again" in refusal
    assert (store.get(job).status, store.get(job).edits) == (Status.FAILED, ())
    assert store.retries.one(job, a_message(job), edit) is None
    refusal = store.retries.one(job, a_message(job), edit)
    assert refusal is not None and "it is" not in refusal and "queued" in refusal


def test_a_change_may_take_a_job_to_another_series(store: JobStore) -> None:
    job = a_job()._replace(terms=b'{"series":"deploy:a"}')
    store.create([job])
    claim(store, job)
    store.settle(job.id, 1, failing("nap", "timeout", "no"))
    assert store.retries.one(job.id, job.message, an_edit(store, job.id, series="deploy:b")) is None
    assert store.get(job.id).series == "deploy:b"
    assert (store.series("deploy:a"), store.series("deploy:b")) == ([], [job.id])


def test_a_retry_of_many_goes_through_all_that_had_failed_when_it_began(store: JobStore) -> None:
    jobs = [failed(store, message=f"no {number}") for number in range(5)]
    operation = begin(store)
    assert store.retries.active() == ["retry_1"]
    for _ in range(3):
        assert step(store, store.retries.get("retry_1"), limit=2)
    ended = store.retries.get("retry_1")
    assert (ended.status, ended.retried, ended.skipped) == ("completed", 5, 0)
    assert ended.finished_at is not None
    assert statuses(store, jobs) == ["queued"] * 5
    assert store.retries.active() == []
    assert [one.id for one in store.retries.latest()] == [operation.id]


def test_a_retry_of_many_takes_what_failed_with_its_parent_along(store: JobStore) -> None:
    parent = a_job()
    child = a_job()._replace(terms=json.dumps({"dependsOn": [parent.id]}).encode())
    store.create([parent, child])
    claim(store, parent)
    store.settle(parent.id, 1, failing("nap", "timeout", "no"))
    pass_a_millisecond()
    store.groups.end_child(child.id, parent.id, failing("nap", "dependency_failed", "no"))
    assert found(store) == [child.id, parent.id]
    assert step(store, begin(store, canary=2))
    assert statuses(store, [parent.id, child.id]) == ["queued", "waiting"]
    assert list(store.retries.get("retry_1").canaries) == [child.id, parent.id]


def test_two_schedulers_do_a_step_once(store: JobStore) -> None:
    jobs = [failed(store) for _ in range(4)]
    read = begin(store)
    assert step(store, read, limit=2)
    assert not step(store, read, limit=2)
    assert statuses(store, jobs) == ["failed", "failed", "queued", "queued"]
    assert store.retries.get("retry_1").retried == 2


def test_jobs_that_fail_after_it_began_are_not_retried_again_and_again(store: JobStore) -> None:
    job = failed(store)
    operation = begin(store)
    late = failed(store, message="late")
    at = store.get(late).finished_at
    assert at is not None
    if at <= operation.created_at:  # both in one millisecond: it counts as failed before
        assert step(store, operation)
        assert statuses(store, [job, late]) == ["queued", "queued"]
        return
    assert step(store, operation)
    assert statuses(store, [job, late]) == ["queued", "failed"]
    assert store.retries.get("retry_1").skipped == 1


def test_what_cannot_be_retried_is_skipped(store: JobStore) -> None:
    job = a_job()._replace(terms=b'{"unique":"one"}')
    store.create([job])
    claim(store, job)
    store.settle(job.id, 1, failing("nap", "timeout", "no"))
    active = a_job()._replace(terms=b'{"unique":"one"}')
    store.create([active])
    assert step(store, begin(store))
    ended = store.retries.get("retry_1")
    assert (ended.status, ended.retried, ended.skipped) == ("completed", 0, 1)
    assert store.get(job.id).status is Status.FAILED


@pytest.mark.parametrize("is_well", [True, False])
def test_the_newest_go_first_and_the_others_only_if_all_of_them_complete(store: JobStore, is_well: bool) -> None:
    jobs = [failed(store) for _ in range(4)]
    begin(store, canary=2)
    assert step(store, store.retries.get("retry_1"), limit=2)
    proving = store.retries.get("retry_1")
    assert (proving.status, list(proving.canaries)) == ("proving", [jobs[3], jobs[2]])
    assert not step(store, proving)
    assert store.retries.prove("retry_1") == "proving"

    for number, job_id in enumerate(proving.canaries):
        claim(store, a_job()._replace(id=job_id), word=f"again-{number}")
        ending = completed() if is_well or number == 0 else failing("nap", "timeout", "no")
        assert store.settle(job_id, 2, ending).is_accepted
    assert store.retries.prove("retry_1") == ("running" if is_well else "stopped")
    stands = store.retries.get("retry_1")
    if is_well:
        assert step(store, stands)
        assert store.retries.get("retry_1").status == "completed"
        assert statuses(store, jobs[:2]) == ["queued", "queued"]
    else:
        assert stands.reason is not None and jobs[2] in stands.reason
        assert not step(store, stands)
        assert statuses(store, jobs[:2]) == ["failed", "failed"]


def test_when_the_first_ones_were_all_it_is_completed_once_they_are(store: JobStore) -> None:
    job = failed(store)
    begin(store, canary=5)
    assert step(store, store.retries.get("retry_1"), limit=5)
    assert store.retries.prove("retry_1") == "proving"
    claim(store, a_job()._replace(id=job), word="again")
    store.settle(job, 2, completed())
    assert store.retries.prove("retry_1") == "completed"
    assert store.retries.active() == []


def test_a_first_one_that_retention_removed_proves_nothing(store: JobStore) -> None:
    job = failed(store)
    begin(store, canary=1)
    step(store, store.retries.get("retry_1"), limit=1)
    store.cancel(job, message="", callbacks=[])
    store.sweep(sweeping_rules(timedelta(0), {}, []), 10)
    assert store.retries.prove("retry_1") == "stopped"


def test_an_aborted_retry_does_no_further_step(store: JobStore) -> None:
    jobs = [failed(store) for _ in range(2)]
    begin(store)
    store.retries.abort("retry_1")
    assert not step(store, store.retries.get("retry_1"))
    assert statuses(store, jobs) == ["failed", "failed"]
    assert store.retries.get("retry_1").status == "aborted"
    store.retries.abort("retry_1")
    with pytest.raises(RetryNotFoundError):
        store.retries.abort("retry_2")
    with pytest.raises(RetryNotFoundError):
        store.retries.get("retry_2")
