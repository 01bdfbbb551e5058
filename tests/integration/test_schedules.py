"""Schedules end to end: several real schedulers, killed while they fire, and the jobs run by real workers."""

import itertools
import os
import signal
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tests.integration.fleet import Fleet
from tests.waiting import eventually

SECOND = timedelta(seconds=1)
NAMES = [f"s{number}" for number in range(10)]


def a_schedule(fleet: Fleet, name: str, **fields: Any) -> None:
    job = {"type": "nap", "payload": {"path": name}}
    fleet.platform.schedules.create({"name": name, "cron": "* * * * * *", "catchUp": "all", "job": job, **fields})


def pause(fleet: Fleet, name: str) -> None:
    fleet.platform.schedules.pause(name, is_paused=True)


def count(fleet: Fleet, name: str) -> int:
    """How many jobs the schedule says to have made."""
    return fleet.platform.store.schedules.get(name).fires


def jobs(fleet: Fleet, name: str) -> list[str]:
    """The jobs that a schedule has made, as their records tell it, oldest first."""
    records = fleet.platform.store.page(limit=10_000).records
    return sorted(record.id for record in records if f"schedule:{name}" in record.spec["tags"])


def first_job(fleet: Fleet, name: str) -> str:
    eventually(lambda: count(fleet, name))
    return jobs(fleet, name)[0]


def check_each_moment_has_its_job(fleet: Fleet, name: str) -> None:
    """Every second since the making has a job, and there are no others."""
    schedule = fleet.platform.schedules.get(name)
    history = schedule["history"]
    dues = [datetime.fromisoformat(fire["dueAt"]) for fire in reversed(history)]
    assert {late - early for early, late in itertools.pairwise(dues)} == {SECOND}
    assert {fire["outcome"] for fire in history} == {"created"}
    made = datetime.fromisoformat(schedule["createdAt"]).replace(microsecond=0)
    assert (dues[-1] - made) // SECOND == schedule["fires"] == len(jobs(fleet, name))
    assert {fire["jobId"] for fire in history} <= set(jobs(fleet, name))


def test_schedulers_at_once_and_killed_while_they_fire_make_one_job_each_second(fleet: Fleet) -> None:
    schedulers = [fleet.start("scheduler") for _ in range(3)]
    for name in NAMES:
        a_schedule(fleet, name)
    eventually(lambda: min(count(fleet, name) for name in NAMES) >= 3)
    for scheduler, victim in zip(schedulers, NAMES[2::3], strict=False):
        # All are due at the same moment and fire in the order of their names: some have fired, some have not.
        eventually(partial(lambda victim, known: count(fleet, victim) > known, victim, count(fleet, victim)))
        os.kill(scheduler.pid, signal.SIGKILL)
        scheduler.wait()
    known = max(count(fleet, name) for name in NAMES)
    fleet.start("scheduler")
    eventually(lambda: min(count(fleet, name) for name in NAMES) >= known + 2)
    for name in NAMES:
        pause(fleet, name)
        check_each_moment_has_its_job(fleet, name)


def test_a_job_that_overlaps_is_replaced_and_one_that_is_there_is_run(fleet: Fleet) -> None:
    fleet.worker("stuck")
    fleet.start("scheduler")
    a_schedule(fleet, "s", overlap="replace", job={"type": "stuck", "payload": {}})
    replaced = fleet.wait(first_job(fleet, "s"), "cancelled")
    assert replaced["message"].startswith("replaced by job_")
    pause(fleet, "s")
    last = jobs(fleet, "s")[-1]
    fleet.wait(last, "running")
    fleet.platform.service.cancel(last)
