"""Sweeping: the scheduler's step removes much without holding anybody up."""

from datetime import timedelta

from tests.builders import a_job
from tests.store.test_failures import again, failed
from workplatform.retention import sweeping_rules
from workplatform.store.jobs import JobStore
from workplatform.sweeping import Sweeping

EVERYTHING = sweeping_rules(timedelta(0), {}, ["nap"])


def test_a_tick_removes_a_bounded_number_and_tells_that_there_is_more(store: JobStore) -> None:
    jobs = [a_job() for _ in range(430)]
    store.create(jobs)
    for job in jobs:
        store.cancel(job.id, message="", callbacks=[])
    sweeping = Sweeping(store, EVERYTHING)
    assert sweeping.tick()
    assert sum(store.page(limit=0).counts.values()) == 30
    assert not sweeping.tick()
    assert not store.page(limit=0).counts


def test_large_submissions_count_for_several_jobs(store: JobStore) -> None:
    jobs = [a_job()._replace(spec=b'{"payload":{"text":"%s"}}' % (b"x" * 250_000)) for _ in range(4)]
    store.create(jobs)
    for job in jobs:
        store.cancel(job.id, message="", callbacks=[])
    assert [store.sweep(EVERYTHING, 5) for _ in range(3)] == [6, 6, 0]


def test_groups_of_errors_without_a_failed_job_are_removed_a_bounded_number_at_a_time_too(store: JobStore) -> None:
    for job_id in [failed(store, message=word) for word in ("alpha", "beta", "gamma")]:
        again(store, job_id)
    assert [store.sweep(EVERYTHING, 2) for _ in range(3)] == [2, 1, 0]
