"""Hosts whose clocks are wrong by an hour, one too early and one too late: Redis's clock is the only one."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from standardwebhooks import Webhook

from tests.faults.platform import all_completed, differences, start_api
from tests.integration.fleet import Fleet, log_events, running_fleet
from tests.receiver import answering, receiving
from tests.running import ROOT
from tests.test_signing import NEW
from tests.waiting import eventually

HERE = Path(__file__).parent
A_WHILE = timedelta(minutes=10)
LATE, EARLY = ({"PYTHONPATH": f"{HERE / 'wrong_clock'}:{ROOT}", "WRONG_BY_S": offset} for offset in ("-3600", "3600"))


def near(text: str) -> bool:
    """Whether a moment on the wire is about now."""
    return abs(datetime.fromisoformat(text) - datetime.now(UTC)) < A_WHILE


@contextmanager
def wrong_fleet(folder: Path, **env: str) -> Iterator[Fleet]:
    """A fleet with its workers and one scheduler an hour early, and another scheduler an hour late."""
    with running_fleet(folder, **env) as fleet:
        for wrong in (LATE, EARLY):
            fleet.start("scheduler", **wrong)
        for queue in ("nap", "http"):
            fleet.start("worker", queue, **EARLY)
        for queue in ("nap", "http"):
            fleet.wait_served(queue)
        yield fleet


def test_leases_delays_schedules_and_callbacks_hold(tmp_path: Path) -> None:
    with receiving(answering()) as receiver, wrong_fleet(tmp_path, WEBHOOK_SECRET=NEW) as fleet:
        api = start_api(fleet, **LATE)
        assert api.get("/readyz").headers["Date"], "whatever it says; from here on the API knows the moment"
        schedule = {"name": "often", "every": 1000, "job": {"type": "nap", "payload": {"path": "often.txt"}}}
        assert requests.post(f"{api.url}/api/schedules", json=schedule, timeout=10).status_code == 201
        long, later, in_time, never = (
            api.submit(
                {"type": job_type, "payload": {"path": path, "seconds": seconds} if path else {}, **terms}
            ).json()
            for job_type, path, seconds, terms in (
                ("nap", "long.txt", 3.0, {"callback": receiver.url}),
                ("nap", "later.txt", 0.0, {"delay": 2000, "ttl": 60_000}),
                ("nap", "in-time.txt", 0.0, {"deadline": 40_000}),
                ("stuck", "", 0.0, {"ttl": 1500}),
            )
        )
        assert all(near(receipt["createdAt"]) for receipt in (long, later, in_time, never))
        all_completed(fleet, [receipt["jobId"] for receipt in (long, later, in_time)])
        assert fleet.job(long["jobId"])["attempts"] == 1, "nobody took its lease for over"
        assert fleet.wait(never["jobId"])["errorCode"] == "expired"
        begun, due = (fleet.job(receipt["jobId"])["startedAt"] for receipt in (long, later))
        assert datetime.fromisoformat(due) - datetime.fromisoformat(later["createdAt"]) >= timedelta(seconds=2)
        assert near(begun) and near(due)
        [request] = eventually(lambda: list(receiver.requests))
        told = Webhook(NEW).verify(request.body, request.headers)
        assert near(told["timestamp"]), "and its signature is not older or newer than five minutes"
        fires = eventually(lambda: fires_of(fleet, "often", 3))
        assert all(near(fire["at"]) for fire in fires)
        fleet.platform.schedules.pause("often", is_paused=True)
        assert differences(fleet) == []


def fires_of(fleet: Fleet, name: str, least: int) -> list[dict[str, Any]]:
    """The fires of a schedule, once there are so many."""
    history: list[dict[str, Any]] = fleet.platform.schedules.get(name)["history"]
    return history if len(history) >= least else []


def test_new_jobs_are_listed_first_though_apis_disagree_about_the_hour(fleet: Fleet) -> None:
    late, early = start_api(fleet, **LATE), start_api(fleet, **EARLY)
    for api in (late, early):
        api.get("/readyz")  # as whoever started it asks, and it learns the moment
    made = [api.submit({"type": "noop", "payload": {}}).json()["jobId"] for api in (late, early, late, early)]
    assert [job["jobId"] for job in late.get("/api/jobs").json()["jobs"]] == made[::-1]


def test_the_attempt_of_a_lost_worker_is_taken_over_once(tmp_path: Path) -> None:
    with running_fleet(tmp_path) as fleet:
        for wrong in (LATE, EARLY):
            fleet.start("scheduler", **wrong)
        doomed = fleet.worker("nap", **EARLY)
        job_id = fleet.submit("nap", {"path": "note.txt", "text": "whole", "seconds": 600, "again": 0})
        fleet.wait(job_id, "running")
        doomed.kill()
        doomed.wait()
        fleet.worker("nap", **LATE)
        all_completed(fleet, [job_id])
        assert fleet.job(job_id)["attempts"] == 2
        assert len([line for line in log_events(fleet) if line["event"] == "worker_lost"]) == 1
        assert differences(fleet) == []
