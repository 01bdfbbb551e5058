"""What the tests of faults ask of a fleet: an API, submissions like a client's, and whether all agrees in the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import requests

from tests.integration.fleet import Fleet, Process
from tests.running import free_port
from tests.waiting import eventually
from workplatform.checkup import checkup


@dataclass(frozen=True)
class Api:
    """An API of a fleet."""

    url: str
    process: Process

    def submit(self, document: object, *, timeout_s: float = 10, key: str = "") -> requests.Response:
        """Submit something, with an idempotency key if there is one."""
        headers = {"Idempotency-Key": key} if key else {}
        return requests.post(f"{self.url}/api/jobs", json=document, headers=headers, timeout=timeout_s)

    def get(self, path: str, *, timeout_s: float = 10) -> requests.Response:
        """Read something."""
        return requests.get(f"{self.url}{path}", timeout=timeout_s)

    def kill(self) -> None:
        """End it with 9, the process that answers first."""
        for worker in psutil.Process(self.process.pid).children(recursive=True):
            worker.kill()
        self.process.kill()
        self.process.wait()


def start_api(fleet: Fleet, **env: str) -> Api:
    """Start an API of the fleet, and wait until it answers."""
    port = free_port()
    api = Api(f"http://127.0.0.1:{port}", fleet.start("api", PORT=str(port), **env))

    def answers() -> bool:
        try:
            return api.get("/healthz").ok
        except requests.RequestException:
            return False

    eventually(answers, within_s=60)
    return api


def a_nap(path: str, *, seconds: float = 0.0, text: str = "whole") -> dict[str, Any]:
    """A submission of a job that writes a file and takes its time."""
    return {"type": "nap", "payload": {"path": path, "text": text, "seconds": seconds}}


def differences(fleet: Fleet) -> list[str]:
    """Return what `workplatform fsck` would tell."""
    with checkup(fleet.settings) as survey:
        return [difference.sentence for difference in survey.differences()]


def all_completed(fleet: Fleet, job_ids: Sequence[str], *, within_s: float = 60) -> None:
    """Wait until every job has completed, and each once."""
    for job_id in job_ids:
        job = fleet.wait(job_id, within_s=within_s)
        assert job["status"] == "completed", job
        assert fleet.events(job_id).count("job:completed") == 1
