"""The scheduler's tick: bounded, and whatever cannot be dealt with keeps nothing else from being done."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import claim, failed
from tests.store.test_dependencies import a_child
from tests.waiting import eventually
from workplatform.bootstrap import Platform, build
from workplatform.scheduler import Scheduler
from workplatform.settings import load
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.records import NewJob

LATER_RELEASE = 99


@pytest.fixture
def platform(server: str, connector: Connector, tmp_path: Path) -> Iterator[Platform]:
    """A platform without jobs, on the server of the tests."""
    del connector  # it has emptied the server
    environ = {"QUEUE_TYPE": "redis", "REDIS_URL": server, "DATA_DIR": str(tmp_path), "JOB_PACKAGES": "tests.jobs"}
    platform = build(load({**environ, "KEY_PREFIX": "test:"}, env_file=tmp_path / "none").settings)
    yield platform
    platform.close()


def delayed(platform: Platform, number: int) -> list[NewJob]:
    """Jobs whose moment has come."""
    jobs = [platform.service.prepare({"type": "noop", "payload": {}, "delay": 1}) for _ in range(number)]
    platform.store.create(jobs)
    eventually(lambda: len(platform.store.due(number).scheduled) == number)
    return jobs


def statuses(platform: Platform, jobs: list[NewJob]) -> list[Status]:
    found = platform.store.groups.records([job.id for job in jobs])
    return [found[job.id].status for job in jobs]


def write_by_later_release(platform: Platform, job: NewJob) -> None:
    platform.connector.client.hset(platform.store.keys.job(job.id), "schemaVersion", LATER_RELEASE)


def test_a_record_of_a_later_release_keeps_nothing_else_from_being_done(platform: Platform) -> None:
    strange, parent = delayed(platform, 2)
    write_by_later_release(platform, strange)
    Scheduler(platform).tick()
    strange_child, child = a_child(parent), a_child(parent)
    platform.store.create([strange_child, child])
    platform.store.settle(parent.id, claim(platform.store, parent).fence, failed())
    write_by_later_release(platform, strange_child)
    Scheduler(platform).tick()
    assert statuses(platform, [child]) == [Status.FAILED]


def test_a_broken_schedule_stops_no_other_part_of_the_tick(platform: Platform) -> None:
    [job] = delayed(platform, 1)
    platform.schedules.create({"name": "s", "every": "1h", "job": {"type": "noop", "payload": {}}})
    platform.connector.client.hset(platform.store.keys.schedule("s"), "spec", "no JSON")
    platform.connector.client.zadd(platform.store.keys.schedules, {"s": 1})
    Scheduler(platform).tick()
    assert statuses(platform, [job]) == [Status.QUEUED]


def test_a_tick_is_bounded_and_says_whether_more_is_due(platform: Platform) -> None:
    jobs = delayed(platform, 250)
    scheduler = Scheduler(platform)
    assert [scheduler.tick(), scheduler.tick()] == [True, False]
    assert set(statuses(platform, jobs)) == {Status.QUEUED}


def test_the_children_of_one_job_do_not_take_a_tick_for_themselves(platform: Platform) -> None:
    [parent] = delayed(platform, 1)
    scheduler = Scheduler(platform)
    scheduler.tick()
    children = [a_child(parent) for _ in range(900)]
    platform.store.create(children)
    platform.store.settle(parent.id, claim(platform.store, parent).fence, failed())
    scheduler.tick()
    ended = statuses(platform, children).count(Status.FAILED)
    assert 0 < ended < len(children)
    scheduler.tick()
    assert set(statuses(platform, children)) == {Status.FAILED}
