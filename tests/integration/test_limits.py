"""Limits and turns over the whole fleet: real workers, killed ones too."""

import os
import signal
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.integration.fleet import Fleet, running_fleet
from tests.waiting import eventually
from workplatform.states import Status


@pytest.fixture
def limited_fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A fleet in which noops begin one after the other, and naps run two at a time."""
    with running_fleet(tmp_path, LIMIT_NOOP="5/s, burst 1", LIMIT_NAP="2") as fleet:
        yield fleet


def submitted(fleet: Fleet, by: str, number: int) -> list[str]:
    """Submit noops for an API key."""
    service = fleet.platform.service
    jobs = [service.prepare({"type": "noop", "payload": {}}).submitted_by(by) for _ in range(number)]
    for start in range(0, number, 500):
        service.create(jobs[start : start + 500])
    return [job.id for job in jobs]


def span(fleet: Fleet, job_id: str) -> tuple[datetime, datetime]:
    """When the last attempt of a job began and ended."""
    record = fleet.platform.store.get(job_id)
    assert record.started_at is not None and record.finished_at is not None
    return record.started_at, record.finished_at


def running_at(spans: list[tuple[datetime, datetime]], moment: datetime) -> int:
    return sum(begin <= moment < end for begin, end in spans)


def test_one_job_of_a_key_begins_after_a_few_of_another_keys_thousand(fleet: Fleet) -> None:
    many = submitted(fleet, "many", 1000)
    [single] = submitted(fleet, "single", 1)
    fleet.worker("noop")
    assert fleet.wait(single)["status"] == "completed"
    fleet.platform.service.purge("noop")
    began = span(fleet, single)[0]
    moments = [fleet.platform.store.get(job_id).started_at for job_id in many]
    # it stands behind four of them; while its message is on its way, threads that are through with theirs take others
    assert sum(moment is not None and moment < began for moment in moments) <= 100


def test_a_rate_is_kept_by_many_threads_of_two_workers(limited_fleet: Fleet) -> None:
    fleet = limited_fleet
    fleet.start("scheduler")
    for node in ("one", "two"):
        fleet.worker("noop", NODE_NAME=node)
    ids = submitted(fleet, "default", 8)
    for job_id in ids:
        job = fleet.wait(job_id)
        assert (job["status"], job["attempts"], job["retries"]) == ("completed", 1, 0)
    begun = sorted(span(fleet, job_id)[0] for job_id in ids)
    assert all((later - earlier).total_seconds() >= 0.199 for earlier, later in pairwise(begun))


def test_no_more_jobs_than_a_limit_allows_run_over_all_nodes(limited_fleet: Fleet) -> None:
    fleet = limited_fleet
    fleet.start("scheduler")
    for node in ("one", "two"):
        fleet.worker("nap", NODE_NAME=node)
    ids = [fleet.submit("nap", {"path": f"{number}.txt", "seconds": 0.5}) for number in range(6)]
    for job_id in ids:
        assert fleet.wait(job_id)["attempts"] == 1
    spans = [span(fleet, job_id) for job_id in ids]
    assert max(running_at(spans, begin) for begin, _ in spans) <= 2


def test_a_limit_survives_the_kill_of_its_holder(fleet: Fleet) -> None:
    fleet.start("scheduler")
    holder = fleet.worker("nap", NODE_NAME="one")
    first = fleet.submit("nap", {"path": "1.txt", "seconds": 600, "again": 0.5}, concurrencyKey="film")
    fleet.wait(first, "running")
    second = fleet.submit("nap", {"path": "2.txt"}, concurrencyKey="film")
    assert fleet.wait(second, "waiting")["waitingReason"] == "concurrency_limit"
    os.killpg(holder.pid, signal.SIGKILL)
    fleet.worker("nap", NODE_NAME="two")
    assert (fleet.wait(first)["status"], fleet.wait(first)["attempts"]) == ("completed", 2)
    assert (fleet.wait(second)["status"], fleet.wait(second)["attempts"]) == ("completed", 1)
    (begun, ended), (begun_too, ended_too) = span(fleet, first), span(fleet, second)
    assert ended <= begun_too or ended_too <= begun


def test_a_cancelled_job_lets_the_next_one_in_once_its_worker_has_ended_it(fleet: Fleet) -> None:
    fleet.start("scheduler")
    fleet.worker("program")
    first = fleet.submit("program", {"path": "1.txt", "seconds": 600}, concurrencyKey="film")
    fleet.wait(first, "running")
    second = fleet.submit("program", {"path": "2.txt", "seconds": 0}, concurrencyKey="film")
    fleet.wait(second, "waiting")
    fleet.platform.service.cancel(first)
    assert fleet.wait(second)["status"] == "completed"


def test_a_parked_job_can_be_cancelled_and_expires(fleet: Fleet) -> None:
    fleet.start("scheduler")
    fleet.worker("nap")
    first = fleet.submit("nap", {"path": "1.txt", "seconds": 600}, concurrencyKey="film")
    fleet.wait(first, "running")
    cancelled = fleet.submit("nap", {"path": "2.txt"}, concurrencyKey="film")
    expiring = fleet.submit("nap", {"path": "3.txt"}, concurrencyKey="film", ttl="4s")
    fleet.wait(cancelled, "waiting")
    assert fleet.platform.service.cancel(cancelled) is Status.CANCELLED
    job = fleet.wait(expiring)
    assert (job["status"], job["errorCode"], job["attempts"]) == ("failed", "expired", 0)
    fleet.platform.service.cancel(first)


def test_raising_a_limit_lets_waiting_jobs_in_at_once(limited_fleet: Fleet) -> None:
    fleet = limited_fleet
    for node in ("one", "two"):
        fleet.worker("nap", NODE_NAME=node)
    ids = [fleet.submit("nap", {"path": f"{number}.txt", "seconds": 600}) for number in range(4)]
    eventually(lambda: sorted(fleet.job(job_id)["status"] for job_id in ids) == ["running"] * 2 + ["waiting"] * 2)
    fleet.platform.limits.put("types", "nap", {"concurrency": 4})
    eventually(lambda: [fleet.job(job_id)["status"] for job_id in ids] == ["running"] * 4)
    for job_id in ids:
        fleet.platform.service.cancel(job_id)
