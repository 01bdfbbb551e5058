"""A crowd at once: many clients, several APIs and schedulers, workers that come and go."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.faults.platform import Api, differences, start_api
from tests.integration.fleet import Fleet
from tests.waiting import eventually

_CLIENTS = 100
_JOBS_EACH = 4


def submit(apis: list[Api], number: int) -> list[str]:
    """Do what one client does: submit, cancel now and then, submit with keys and for later."""
    api = apis[number % len(apis)]
    ids: list[str] = []
    for round_ in range(_JOBS_EACH):
        document = {
            "type": ("noop", "flaky")[round_ % 2],
            "payload": {"path": "", "text": "2"} if round_ % 2 else {},
            "uniqueKey": f"key-{number % 10}-{round_}",
            "delay": 1 + 100 * (number % 3),
            "ttl": 600_000,
        }
        answer = api.submit(document, timeout_s=60, key=f"{number}-{round_}")
        assert answer.status_code == 202, answer.text
        ids.append(answer.json()["jobId"])
        if number % 7 == 0:
            requests.delete(f"{api.url}/api/jobs/{ids[-1]}", timeout=60)
    return ids


def test_counters_indexes_and_streams_agree_with_the_records_in_the_end(fleet: Fleet) -> None:
    apis = [start_api(fleet) for _ in range(4)]
    for _ in range(2):
        fleet.start("scheduler")
    workers = [fleet.worker("noop"), fleet.worker("flaky")]
    is_over = threading.Event()

    def restart_workers() -> None:
        for number in range(4):
            if is_over.wait(1.0):
                return
            os.kill(workers[number % 2].pid, signal.SIGKILL if number < 2 else signal.SIGTERM)
            workers[number % 2] = fleet.start("worker", ("noop", "flaky")[number % 2])

    restarting = threading.Thread(target=restart_workers)
    restarting.start()
    with ThreadPoolExecutor(_CLIENTS) as pool:
        ids = {job_id for part in pool.map(lambda number: submit(apis, number), range(_CLIENTS)) for job_id in part}
    meanwhile = differences(fleet)
    is_over.set()
    restarting.join()
    assert meanwhile == [], "a platform at work shows none either"
    ended = ("completed", "cancelled")
    eventually(lambda: sum(fleet.counts()[status] for status in ended) == len(ids), within_s=90)
    assert differences(fleet) == []
    listed = apis[0].get("/api/jobs").json()
    assert listed["total"] == len(ids)
