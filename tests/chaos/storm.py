"""A storm: clients submit while faults strike at random; the order of the faults follows from the seed."""

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from tests.chaos.faults import FAULTS, Scene
from tests.receiver import Receiver, answering, receiving
from tests.running import Up, running_up
from tests.waiting import eventually

CLIENTS: Final = 3
_CALM_S: Final = 90.0
_ENVIRON: Final = {
    "LEASE": "3",
    "HEARTBEAT": "0.5",
    "SHUTDOWN_GRACE": "2",
    "DURABILITY": "always",
    "MAX_CONCURRENT_JOBS": "8",
    "JOB_PACKAGES": "tests.chaos.jobs,workers.http",
}


@dataclass
class Accepted:
    """A job that was acknowledged: what it is, and whether its client has cancelled it."""

    id: str
    number: int
    kind: str
    is_cancelled: bool = False


@dataclass
class Aftermath:
    """What is there to be checked when the storm is over."""

    up: Up
    accepted: list[Accepted]
    receiver: Receiver
    struck: list[str]


@dataclass
class Storm:
    """One storm. It ends when all jobs are in and its seconds are over."""

    folder: Path
    seed: int
    jobs: int
    seconds: float
    accepted: list[Accepted] = field(default_factory=list)
    _left: list[int] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _errors: list[Exception] = field(default_factory=list)

    def run(self, check: Callable[[Aftermath], None]) -> str:
        """Let it rage, wait until every job has ended, and check; returns what it was in a sentence."""
        draw = random.Random(self.seed)
        self._left = list(range(self.jobs))[::-1]
        with receiving(answering()) as receiver, running_up(self.folder / "up", **_ENVIRON) as up:
            scene = Scene(up, draw)
            clients = [
                threading.Thread(target=self._submit_all, args=(up, receiver, random.Random(f"{self.seed} {number}")))
                for number in range(CLIENTS)
            ]
            for client in clients:
                client.start()
            struck = self._rage(scene, draw)
            for client in clients:
                client.join(_CALM_S)
            assert not self._errors, self._errors
            assert len(self.accepted) == self.jobs, "every client got its jobs accepted in the end"
            eventually(lambda: self._has_settled(up), within_s=_CALM_S)
            check(Aftermath(up, self.accepted, receiver, struck))
        return f"{self.jobs} jobs, {len(struck)} faults: {', '.join(struck)}"

    def _rage(self, scene: Scene, draw: random.Random) -> list[str]:
        """Strike until the time is over, each kind of fault at least once."""
        struck: list[str] = []
        deck: list[str] = []
        while (scene.elapsed_s < self.seconds or len(struck) < len(FAULTS)) and not self._errors:
            if not deck:
                deck = draw.sample(sorted(FAULTS), len(FAULTS))
            name = deck.pop()
            struck.append(name)
            FAULTS[name](scene)
            self._is_over.wait(draw.uniform(0.2, 1.2))
        self._is_over.set()
        return struck

    def _submit_all(self, up: Up, receiver: Receiver, draw: random.Random) -> None:
        try:
            while self._left:
                with suppress(IndexError):
                    self._submit(up, receiver, draw, self._left.pop())
                if len(self._left) > CLIENTS:
                    self._is_over.wait(draw.uniform(0, 2 * CLIENTS * self.seconds / self.jobs))
        except Exception as error:
            self._errors.append(error)
            raise

    def _submit(self, up: Up, receiver: Receiver, draw: random.Random, number: int) -> None:
        kind = draw.choice(["write", "write", "write", "fail", "later", "cancel"])
        document = a_document(number, kind, receiver.url)
        headers = {"Idempotency-Key": f"{self.seed}-{number}"}
        answer = insist(lambda: requests.post(f"{up.url}/api/jobs", json=document, headers=headers, timeout=10), 202)
        job = Accepted(answer["jobId"], number, kind)
        if kind == "cancel":
            job.is_cancelled = cancel(up, job.id)
        self.accepted.append(job)

    def _has_settled(self, up: Up) -> bool:
        with suppress(requests.RequestException):
            jobs = requests.get(f"{up.url}/api/stats", timeout=5).json()["jobs"]
            return not any(jobs[status] for status in ("waiting", "scheduled", "queued", "running"))
        return False


def a_document(number: int, kind: str, receiver: str) -> dict[str, Any]:
    """A submission whose outcome is known from its kind, whatever breaks meanwhile."""
    payload = {"path": f"out/{number}.txt", "text": str(number), "seconds": 0.3 if kind == "cancel" else 0.02}
    document: dict[str, Any] = {
        "type": "scribble",
        "payload": payload | {"fails": kind == "fail"},
        "maxRetries": 50,
        "tags": [kind],
    }
    if number % 5 == 0:
        document["callback"] = f"{receiver}/{number}"
    if kind == "later":
        document["delay"] = 500
    return document


def insist(call: Callable[[], requests.Response], *wanted: int) -> dict[str, Any]:
    """Ask until the platform gives one of the answers, as a client that wants its job done."""
    while True:
        with suppress(requests.RequestException):
            answer = call()
            if answer.status_code in wanted:
                document: dict[str, Any] = answer.json()
                return document
            assert answer.status_code in (429, 500, 503), answer.text
            assert answer.status_code != 500, answer.text
        threading.Event().wait(0.1)


def cancel(up: Up, job_id: str) -> bool:
    """Cancel a job; returns whether that was before its end."""
    answer = insist(lambda: requests.delete(f"{up.url}/api/jobs/{job_id}", timeout=10), 200, 409)
    return answer.get("status") == "cancelled"
