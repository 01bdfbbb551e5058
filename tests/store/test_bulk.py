"""What one call writes for many jobs."""

import pytest

from tests.builders import a_job
from workplatform.celery_app import Wakeups
from workplatform.store.connection import Connector
from workplatform.store.events import EventLog
from workplatform.store.jobs import JOBS_PER_CALL, JobStore
from workplatform.store.keys import EVENTS_KEPT
from workplatform.store.records import NewJob


@pytest.fixture(scope="module")
def wakeups() -> Wakeups:
    """What builds messages by Celery's own code."""
    return Wakeups()


def test_each_job_of_a_call_gets_the_message_of_its_own(
    store: JobStore, connector: Connector, wakeups: Wakeups
) -> None:
    def job(queue: str, priority: int) -> NewJob:
        template = wakeups.template(queue, queue, priority)
        return a_job(job_type=queue, queue=queue, priority=priority)._replace(message=template)

    jobs = [job("nap", 0), job("nap", 0), job("web", 0), job("nap", 0), job("nap", 3)]
    store.create(jobs)
    for key, wanted in (("nap", [0, 1, 3]), ("web", [2]), ("nap\x06\x163", [4])):
        of_lane = [jobs[at] for at in wanted]
        built = [wakeups.build(job.id, job.type, job.queue, job.priority) for job in of_lane]
        assert connector.client.lrange(f"test:{key}", 0, -1) == built[::-1]


def test_the_stream_of_events_keeps_the_newest_ones(store: JobStore, connector: Connector, event_log: EventLog) -> None:
    for _ in range(EVENTS_KEPT // JOBS_PER_CALL + 2):
        before = event_log.last_id()
        jobs = [a_job() for _ in range(JOBS_PER_CALL)]
        store.create(jobs)
    assert EVENTS_KEPT <= connector.client.xlen(store.keys.events) < EVENTS_KEPT + JOBS_PER_CALL
    assert [event.job_id for event in event_log.after(before, limit=JOBS_PER_CALL)] == [job.id for job in jobs]
