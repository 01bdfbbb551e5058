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

# One client for each: they take turns.
KEYS: Final = {name: f"a-key-of-the-client-{name}" for name in ("default", "a", "b")}
MOST_AT_A_TIME: Final = {"type": 3, "b": 2, "same": 1}
CLIENTS: Final = len(KEYS)
_CALM_S: Final = 90.0
_ENVIRON: Final = {
    "LEASE": "3",
    "HEARTBEAT": "0.5",
    "SHUTDOWN_GRACE": "2",
    "DURABILITY": "always",
    "MAX_CONCURRENT_JOBS": "8",
    "JOB_PACKAGES": "tests.chaos.jobs,workers.http",
    "ALLOWED_HOSTS": "127.0.0.1",
    "API_KEY": KEYS["default"],
    "API_KEYS": ",".join(f"{name}:{key}" for name, key in KEYS.items() if name != "default"),
    "LIMIT_SCRIBBLE": str(MOST_AT_A_TIME["type"]),
    "LIMIT_KEY_B": f"{MOST_AT_A_TIME['b']}, 50/s",
}


@dataclass
class Accepted:
    """A job that was acknowledged: what it is, what it writes where, and whether its client has cancelled it."""

    id: str
    number: int
    kind: str
    by: str
    path: str
    text: str
    is_cancelled: bool = False
    is_alone: bool = False
    """Whether no other job of its client that says so may run beside it."""


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
                threading.Thread(target=self._submit_all, args=(up, receiver, by, random.Random(f"{self.seed} {by}")))
                for by in KEYS
            ]
            for client in clients:
                client.start()
            struck = self._rage(scene, draw)
            for client in clients:
                client.join(_CALM_S)
            assert not self._errors, self._errors
            assert len({job.number for job in self.accepted}) == self.jobs, "every client got its jobs accepted"
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

    def _submit_all(self, up: Up, receiver: Receiver, by: str, draw: random.Random) -> None:
        try:
            while self._left:
                with suppress(IndexError):
                    self._submit(up, receiver, by, draw, self._left.pop())
                if len(self._left) > CLIENTS:
                    self._is_over.wait(draw.uniform(0, 2 * CLIENTS * self.seconds / self.jobs))
        except Exception as error:
            self._errors.append(error)
            raise

    def _submit(self, up: Up, receiver: Receiver, by: str, draw: random.Random, number: int) -> None:
        kind = draw.choice(["write", "write", "write", "fail", "later", "cancel", "flow"])
        document = a_document(number, kind, receiver.url)
        document |= {"priority": draw.choice([1, 2, 2])}
        document |= {"concurrencyKey": "same"} if (is_alone := number % 6 == 0) else {}
        request = {"steps": a_flow(document)} if kind == "flow" else document
        headers = {"X-API-Key": KEYS[by], "Idempotency-Key": f"{self.seed}-{number}"}
        address = f"{up.url}/api/{'flows' if kind == 'flow' else 'jobs'}"
        answer = insist(lambda: requests.post(address, json=request, headers=headers, timeout=10), 202)
        for step, job_id in ids_in(answer).items():
            job = Accepted(job_id, number, step or kind, by, f"out/{number}{step}.txt", str(number), is_alone=is_alone)
            if kind == "cancel":
                job.is_cancelled = cancel(up, job.id)
            self.accepted.append(job)

    def _has_settled(self, up: Up) -> bool:
        with suppress(requests.RequestException):
            jobs = ask(up, "/api/stats", timeout=5).json()["jobs"]
            return not any(jobs[status] for status in ("waiting", "scheduled", "queued", "running"))
        return False


def ask(up: Up, path: str, *, timeout: float = 10, **params: str) -> requests.Response:
    """Read something of the platform."""
    return requests.get(f"{up.url}{path}", params=params, headers={"X-API-Key": KEYS["default"]}, timeout=timeout)


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


def a_flow(document: dict[str, Any]) -> dict[str, Any]:
    """Two steps, of which the second writes what the first has written."""
    first, second = (
        {**document, "payload": {**document["payload"], "path": document["payload"]["path"].replace(".", f"{step}.")}}
        for step in ("-first", "-second")
    )
    second["payload"]["text"] = "${first.result.text}"
    return {"first": first, "second": second}


def ids_in(answer: dict[str, Any]) -> dict[str, str]:
    """Return the jobs that an answer names, by the ends of their paths' names."""
    steps = answer.get("steps")
    return {f"-{name}": step["jobId"] for name, step in steps.items()} if steps else {"": answer["jobId"]}


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
    key = {"X-API-Key": KEYS["default"]}
    answer = insist(lambda: requests.delete(f"{up.url}/api/jobs/{job_id}", headers=key, timeout=10), 200, 409)
    return answer.get("status") == "cancelled"
