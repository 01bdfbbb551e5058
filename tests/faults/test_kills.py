"""Processes that are killed with 9: workers, all of them, what they started, and an API in the middle of an answer."""

import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
import requests

from tests.faults.platform import Api, a_nap, all_completed, differences, start_api
from tests.faults.relay import relaying
from tests.integration.fleet import Fleet, running_fleet
from tests.processes import below, gone
from tests.waiting import eventually
from workplatform import embedded


def has_attempts(fleet: Fleet, job_id: str, number: int) -> bool:
    return bool(fleet.job(job_id)["attempts"] == number)


def is_longer(items: Sequence[str], than: int) -> bool:
    return len(items) > than


def test_all_workers_killed_at_once_cost_their_jobs_an_attempt_and_leave_no_orphan(fleet: Fleet) -> None:
    fleet.start("scheduler")
    queues = ("program", "nap", "grow")
    workers = [fleet.start("worker", queue) for queue in queues]
    once = {"seconds": 600, "again": 0}
    jobs = [fleet.submit("program", {"path": f"program-{number}.txt", **once}) for number in range(2)]
    jobs += [fleet.submit("nap", {"path": f"nap-{number}.txt", "text": "whole", **once}) for number in range(2)]
    jobs.append(fleet.submit("grow", {"path": "grown.txt", "lines": 40, "pause": 0.3}))
    for job_id in jobs:
        fleet.wait(job_id, "running", within_s=60)
    pids = [worker.pid for worker in workers]
    eventually(lambda: len(below(*pids, name="sleep")) >= 2)
    family = below(*pids)
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    eventually(lambda: gone(family))
    for queue in queues:
        fleet.start("worker", queue)
    all_completed(fleet, jobs)
    assert [fleet.job(job_id)["attempts"] for job_id in jobs] == [2] * len(jobs)
    contents = [(fleet.folder / f"{kind}-{number}.txt").read_text() for kind in ("program", "nap") for number in (0, 1)]
    assert contents == ["whole"] * 4
    assert (fleet.folder / "grown.txt").read_text() == "".join(f"{number:07}\n" for number in range(40))
    eventually(lambda: fleet.leftovers() == [], within_s=40)
    assert differences(fleet) == []


def test_a_child_that_is_killed_costs_its_attempt_and_not_its_worker(fleet: Fleet) -> None:
    fleet.start("scheduler")
    worker = fleet.worker("flaky")
    job_id = fleet.submit("broken", {"path": "x", "text": "hang"}, maxRetries=1)
    for attempt in (1, 2):
        eventually(partial(has_attempts, fleet, job_id, attempt))
        eventually(lambda: len(below(worker.pid)) >= 2)  # the nursery, and the child that hangs
        for child in below(worker.pid):
            with suppress(psutil.NoSuchProcess):
                child.kill()
    job = fleet.wait(job_id)
    assert (job["status"], job["attempts"], job["errorCode"]) == ("failed", 2, "crashed"), job
    assert worker.poll() is None
    assert fleet.wait(fleet.submit("flaky", {"path": "x", "text": "1"}))["status"] == "completed"
    assert differences(fleet) == []


def test_a_retry_after_the_api_was_killed_before_its_answer_gets_the_same_job(fleet: Fleet) -> None:
    document, key = a_nap("note.txt"), "a-key-of-the-client"
    told: list[object] = []

    def submit(api: Api) -> None:
        try:
            told.append(api.submit(document, key=key))
        except requests.ConnectionError as error:
            told.append(error)

    with relaying(embedded.socket_path(fleet.settings)) as relay:
        api = start_api(fleet, QUEUE_TYPE="redis", REDIS_URL=relay.url)
        first = api.submit(a_nap("other.txt"), key="another")  # now Redis knows the scripts
        assert first.status_code == 202
        relay.holds = b"FCALL"
        client = threading.Thread(target=submit, args=(api,))
        client.start()
        assert relay.held.wait(10), "Redis has made the job, and the API does not know"
        api.kill()
        client.join()
    assert isinstance(told[0], requests.ConnectionError)
    api = start_api(fleet)
    again = api.submit(document, key=key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")
    listed = api.get("/api/jobs").json()
    assert (listed["total"], listed["jobs"][0]["jobId"]) == (2, again.json()["jobId"])
    fleet.worker("nap")
    all_completed(fleet, [again.json()["jobId"]])
    assert differences(fleet) == []


@pytest.mark.parametrize("durability", ["everysec", "always"])
def test_nothing_that_was_acknowledged_is_lost_with_the_server(tmp_path: Path, durability: str) -> None:
    with running_fleet(tmp_path, DURABILITY=durability) as fleet:
        api = start_api(fleet)
        acknowledged: list[str] = []
        is_over = threading.Event()

        def submit_on() -> None:
            while not is_over.is_set():
                with suppress(requests.RequestException):
                    answer = api.submit([{"type": "noop", "payload": {}}] * 3)
                    if answer.status_code == 202:
                        acknowledged.extend(receipt["jobId"] for receipt in answer.json())

        clients = [threading.Thread(target=submit_on) for _ in range(4)]
        for client in clients:
            client.start()
        for _ in range(3):
            enough = len(acknowledged) + 50
            eventually(partial(is_longer, acknowledged, enough), within_s=60)
            fleet.server.kill()
            fleet.server.start()
        is_over.set()
        for client in clients:
            client.join()
        for job_id in acknowledged:
            assert fleet.job(job_id)["status"] == "queued"
        assert differences(fleet) == []
