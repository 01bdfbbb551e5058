"""Failures in the store: what the search finds, page by page, and which errors are counted as one."""

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.builders import a_job, a_message, claim, completed, pop
from tests.waiting import pass_a_millisecond
from workplatform.fingerprints import fingerprint, kept_error
from workplatform.retention import sweeping_rules
from workplatform.states import Event, Status
from workplatform.store.connection import Connector
from workplatform.store.failures import ErrorNotFoundError, FailureFilter, Place
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob, Settlement

TOP = Place()
NOW = timedelta(0)


def failing(job_type: str, code: str, message: str, tags: Sequence[str] = ()) -> Settlement:
    """The ending of a job that fails for good."""
    kept = kept_error(job_type, {"code": code, "message": message, "retryable": False}, {"tags": tags})
    return Settlement(Status.FAILED, Event.FAILED, "attempt", message=message, error=kept)


def failed(
    store: JobStore, *, job_type: str = "nap", code: str = "timeout", message: str = "no", tags: tuple[str, ...] = ()
) -> str:
    """The id of a job that has failed."""
    job: NewJob = a_job(job_type=job_type)
    if tags:
        job = job._replace(spec=json.dumps({"payload": {"tags": "none"}, "tags": tags}, separators=(",", ":")).encode())
    store.create([job])
    assert pop(store) == job.id
    claim(store, job)
    assert store.settle(job.id, 1, failing(job_type, code, message, tags)).is_accepted
    pass_a_millisecond()
    return job.id


def found(store: JobStore, *, limit: int = 50, **wanted: str) -> list[str]:
    """Ids of all failed jobs that match, fetched page by page."""
    ids, place = list[str](), TOP
    while True:
        page = store.failures.page(FailureFilter(**wanted), limit=limit, below=place)  # type: ignore[arg-type]
        assert len(page.records) <= limit
        ids += [record.id for record in page.records]
        if page.following is None:
            return ids
        place = page.following


def again(store: JobStore, job_id: str) -> None:
    """Retry a job."""
    assert store.retry(job_id, a_message(job_id)) is None


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_failed_jobs_are_found_by_type_code_and_fingerprint_latest_first(store: JobStore, limit: int) -> None:
    first = failed(store, message="no frame 1")
    second = failed(store, message="no frame 22")
    crashed = failed(store, code="crashed", message="no frame 1")
    walk = failed(store, job_type="walk", message="no frame 1")
    assert found(store, limit=limit) == [walk, crashed, second, first]
    assert found(store, limit=limit, job_type="nap") == [crashed, second, first]
    assert found(store, limit=limit, code="timeout") == [walk, second, first]
    assert found(store, limit=limit, code="timeout", job_type="walk") == [walk]
    alike = fingerprint("nap", "timeout", "no frame 333")
    assert found(store, limit=limit, fingerprint=alike) == [second, first]
    assert found(store, limit=limit, fingerprint=alike, code="crashed") == []
    assert found(store, limit=limit, fingerprint="0" * 12) == []


def test_a_tag_finds_alone_and_with_other_filters(store: JobStore) -> None:
    red = failed(store, tags=("red", "big"))
    walk = failed(store, job_type="walk", tags=("red",))
    failed(store)
    assert found(store, tag="red") == [walk, red]
    assert found(store, tag="red", job_type="nap", limit=1) == [red]
    assert found(store, tag="red", fingerprint=fingerprint("walk", "timeout", "no")) == [walk]
    assert found(store, tag="big", code="crashed") == []
    assert store.failures.page(FailureFilter(tag="red"), limit=1, below=TOP).total == 2
    assert store.failures.page(FailureFilter(tag="red", code="timeout"), limit=1, below=TOP).total is None


def test_the_moment_of_the_end_is_a_filter(store: JobStore) -> None:
    jobs = [failed(store) for _ in range(3)]
    ends = [store.get(job_id).finished_at for job_id in jobs]
    between = FailureFilter(since=ends[1], until=ends[1])
    page = store.failures.page(between, limit=10, below=TOP)
    assert jobs[1] in [record.id for record in page.records]
    assert page.total == len([end for end in ends if end == ends[1]]) == len(page.records)


def test_pages_neither_skip_nor_repeat_jobs_that_failed_in_one_millisecond(
    store: JobStore, connector: Connector
) -> None:
    jobs = [failed(store) for _ in range(60)]
    for key in ("failures:nap:timeout", f"alike:{fingerprint('nap', 'timeout', 'no')}"):
        connector.client.zadd(f"test:{key}", dict.fromkeys(jobs, 1_700_000_000_000))
    for limit in (1, 7, 60):
        assert found(store, limit=limit) == sorted(jobs, reverse=True)


def test_a_page_goes_on_though_the_job_that_it_ended_with_was_retried(store: JobStore) -> None:
    jobs = [failed(store) for _ in range(4)]
    page = store.failures.page(FailureFilter(), limit=2, below=TOP)
    again(store, page.records[-1].id)
    assert page.following is not None
    rest = store.failures.page(FailureFilter(), limit=2, below=page.following)
    assert [record.id for record in rest.records] == [jobs[1], jobs[0]]


def test_alike_errors_are_one_group_with_its_count_and_times(store: JobStore) -> None:
    first, second = failed(store, message="no frame 1"), failed(store, message="no frame 22")
    failed(store, job_type="walk")
    groups, following = store.failures.groups(job_type="", order="count", limit=10, below=TOP)
    assert following is None
    assert [(group.job_type, group.count, group.failed) for group in groups] == [("nap", 2, 2), ("walk", 1, 1)]
    group = store.failures.group(groups[0].fingerprint)
    assert group == groups[0]
    assert (group.code, group.message, list(group.latest)) == ("timeout", "no frame 22", [second, first])
    assert (group.first_seen, group.last_seen) == (store.get(first).finished_at, store.get(second).finished_at)


def test_groups_come_page_by_page(store: JobStore) -> None:
    for word in ("alpha", "beta", "gamma"):
        failed(store, message=word)
    failed(store, message="alpha")
    for order, expected in (("lastSeen", ["alpha", "gamma", "beta"]), ("count", ["alpha", None, None])):
        place, seen = TOP, []
        while True:
            [group], following = store.failures.groups(job_type="nap", order=order, limit=1, below=place)  # type: ignore[arg-type]
            seen.append(group.message)
            if following is None:
                break
            place = following
        assert sorted(seen) == ["alpha", "beta", "gamma"]
        assert all(word in (None, told) for word, told in zip(expected, seen, strict=True))


def test_a_retried_job_leaves_the_dead_letter_and_its_group_stays_for_a_while(store: JobStore) -> None:
    job = failed(store, tags=("red",))
    [group], _ = store.failures.groups(job_type="", order="count", limit=10, below=TOP)
    again(store, job)
    assert found(store) == found(store, tag="red") == []
    kept = store.failures.group(group.fingerprint)
    assert (kept.count, kept.failed, list(kept.latest)) == (1, 0, [])
    store.sweep(sweeping_rules(timedelta(hours=1), {}, []), 10)
    assert store.failures.group(group.fingerprint) == kept
    store.sweep(sweeping_rules(NOW, {}, []), 10)
    with pytest.raises(ErrorNotFoundError):
        store.failures.group(group.fingerprint)


def test_a_group_that_fails_again_is_kept_with_its_jobs(store: JobStore) -> None:
    job = failed(store)
    again(store, job)
    assert pop(store) == job
    other = failed(store)
    store.sweep(sweeping_rules(timedelta(hours=1), {"cancelled": 1e-4}, []), 10)
    [group], _ = store.failures.groups(job_type="", order="count", limit=10, below=TOP)
    assert (group.count, group.failed, list(group.latest)) == (2, 1, [other])


def test_nothing_is_left_of_what_failed_once_it_is_swept(store: JobStore, connector: Connector) -> None:
    failed(store, tags=("red",))
    failed(store, message="other")
    assert store.sweep(sweeping_rules(NOW, {}, []), 10) == 2
    assert set(connector.client.keys("*")) == {b"test:events", b"test:sequence", b"test:types"}


def test_tags_are_told_by_the_error_since_a_submission_may_be_of_megabytes(
    store: JobStore, connector: Connector
) -> None:
    job = failed(store, tags=("red",))
    connector.client.hset(f"test:job:{job}", "spec", '{"payload":{},"tags":["not read"]}')
    again(store, job)
    assert found(store, tag="red") == []
    assert not connector.client.exists("test:tagged:red")


def test_a_failure_of_a_former_version_is_found_without_a_group(store: JobStore, connector: Connector) -> None:
    job = failed(store, tags=("red",))
    client = connector.client
    at = client.zscore("test:finished:nap:failed", job)
    assert at is not None
    for kind in ("finished", "failures", "codes", "alike", "tagged", "error", "errors"):
        client.delete(*client.keys(f"test:{kind}:*"))
    client.hset(f"test:job:{job}", "error", '{"code":"timeout","message":"no","retryable":true}')
    client.zadd("test:finished", {job: at})
    assert found(store) == []
    store.sweep(sweeping_rules(timedelta(hours=1), {}, []), 10)
    assert found(store) == found(store, code="timeout") == found(store, tag="red") == [job]
    assert store.failures.groups(job_type="", order="count", limit=10, below=TOP) == ([], None)
    again(store, job)
    assert found(store) == []


def test_a_job_that_expires_is_a_failure_too(store: JobStore) -> None:
    job = a_job()._replace(terms=b'{"deadline":1}')
    store.create([job])
    kept = kept_error("nap", {"code": "deadline", "message": "too late", "retryable": False}, {})
    assert store.expire(job.id, message="too late", error=kept, callbacks=[])
    assert found(store, code="deadline") == [job.id]


def test_success_and_cancellation_are_no_failures(store: JobStore) -> None:
    done, dropped = a_job(), a_job()
    store.create([done, dropped])
    claim(store, done)
    store.settle(done.id, 1, completed())
    store.cancel(dropped.id, message="", callbacks=[])
    assert found(store) == []
