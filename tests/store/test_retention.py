"""Sweeping in the store: by age and by number, of a status and of a type, a bounded number a call."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.builders import a_job, a_message, claim, completed, failed, pop
from tests.waiting import pass_a_millisecond
from workplatform.errors import JobNotFoundError
from workplatform.retention import sweeping_rules
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob, Settlement

HOUR = timedelta(hours=1)
TYPES = ("nap", "walk")


def ended(store: JobStore, *, job_type: str = "nap", ending: Settlement | None = None) -> str:
    """The id of a job that has ended."""
    job = a_job(job_type=job_type)
    store.create([job])
    pop(store)
    claim(store, job)
    assert store.settle(job.id, 1, ending or completed()).is_accepted
    pass_a_millisecond()
    return job.id


def sweep(store: JobStore, *, most: int = 100, age: timedelta = HOUR, **settings: float) -> int:
    """Sweep once by the rules that settings make."""
    named = {name.replace("_", "-"): value for name, value in settings.items()}
    return store.sweep(sweeping_rules(age, named, TYPES), most)


def left(store: JobStore, job_ids: Sequence[str]) -> list[str]:
    """Those of the jobs that are still there."""

    def is_there(job_id: str) -> bool:
        try:
            store.get(job_id)
        except JobNotFoundError:
            return False
        return True

    return [job_id for job_id in job_ids if is_there(job_id)]


def test_each_status_and_type_has_its_age(store: JobStore) -> None:
    done, walked, broken = ended(store), ended(store, job_type="walk"), ended(store, ending=failed())
    assert sweep(store) == 0
    assert sweep(store, completed=1e-4, type_walk=3600) == 1
    assert left(store, [done, walked, broken]) == [walked, broken]
    assert sweep(store, age=timedelta(0), failed=60) == 1
    assert left(store, [walked, broken]) == [broken]


def test_of_too_many_the_oldest_by_their_end_go(store: JobStore) -> None:
    jobs = [ended(store) for _ in range(4)]
    others = [ended(store, job_type="walk"), ended(store, ending=failed())]
    assert sweep(store, type_nap_completed_max=2) == 2
    assert left(store, [*jobs, *others]) == [*jobs[2:], *others]
    assert sweep(store, max=1) == 3
    assert left(store, [*jobs, *others]) == others[1:]


def test_a_call_removes_a_bounded_number_and_the_next_one_goes_on(store: JobStore) -> None:
    jobs = [ended(store, job_type=TYPES[number % 2]) for number in range(7)]
    assert [sweep(store, most=3, completed_max=1) for _ in range(3)] == [3, 3, 0]
    assert left(store, jobs) == jobs[-1:]
    assert store.page(limit=0).counts == {("nap", Status.COMPLETED): 1}


def test_jobs_that_have_not_ended_are_not_counted_and_not_removed(store: JobStore) -> None:
    job = a_job()
    store.create([job])
    again = ended(store, ending=failed())
    assert store.retry(again, a_message(again)) is None
    assert sweep(store, age=timedelta(0), max=1) == 0
    assert left(store, [job.id, again]) == [job.id, again]


def test_jobs_in_the_one_index_of_former_versions_are_moved_and_kept_their_time(
    store: JobStore, connector: Connector
) -> None:
    job = ended(store, ending=failed())
    client = connector.client
    at = client.zscore("test:finished:nap:failed", job)
    assert at is not None
    client.delete("test:finished:nap:failed")
    client.zadd("test:finished", {job: at, "job_gone": 1})
    assert sweep(store) == 2
    assert client.zscore("test:finished:nap:failed", job) == at
    assert not client.exists("test:finished")
    assert sweep(store, age=timedelta(0)) == 1
    assert left(store, [job]) == []


@pytest.mark.parametrize("ending", [completed, failed])
def test_nothing_is_left_of_a_swept_job(store: JobStore, connector: Connector, ending: type) -> None:
    ended(store, ending=ending())
    assert sweep(store, age=timedelta(0)) == 1
    assert set(connector.client.keys("*")) == {b"test:events", b"test:sequence", b"test:types"}


def test_the_types_of_jobs_that_nobody_declares_any_more_have_the_general_rules(store: JobStore) -> None:
    job: NewJob = a_job(job_type="former")
    store.create([job])
    store.cancel(job.id, message="", callbacks=[])
    assert sweep(store, cancelled=1e-4, age=HOUR) == 1
    assert left(store, [job.id]) == []
