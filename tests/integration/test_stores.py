"""Real workers with a real store: what a killed worker leaves there, and who writes in the end."""

import os
import signal
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.integration.fleet import Fleet, running_fleet
from tests.storage.stores import BUCKET, Fate, Proxy, Store, proxied, running_store
from tests.waiting import eventually

BODY = os.urandom((20 << 20) + 5)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An S3 server."""
    with running_store(tmp_path_factory.mktemp("s3")) as store:
        store.put("in.bin", BODY)
        yield store


class Gate:
    """Holds the requests that are like one it was told, until it is opened."""

    def __init__(self) -> None:
        self.mark = ""

    def __call__(self, _number: int, request: BaseHTTPRequestHandler) -> Fate:
        """Decide on a request."""
        return "hold" if self.mark and self.mark in f"{request.command} {request.path}" else "pass"


@pytest.fixture
def gate() -> Gate:
    """A gate that is open."""
    return Gate()


@pytest.fixture
def proxy(store: Store, gate: Gate) -> Iterator[Proxy]:
    """The way to the store."""
    with proxied(store, gate) as proxy:
        yield proxy


@pytest.fixture
def fleet(proxy: Proxy, tmp_path: Path) -> Iterator[Fleet]:
    """A scheduler, and workers to come."""
    settings = {
        "JOB_PACKAGES": "tests.storage.store_jobs",
        "S3_ENDPOINT": proxy.url,
        "S3_ACCESS_KEY_ID": "key",
        "S3_SECRET_ACCESS_KEY": "secret",
        "S3_BUCKETS": BUCKET,
    }
    with running_fleet(tmp_path, **settings) as fleet:
        fleet.start("scheduler")
        yield fleet


def parts(store: Store) -> list[str]:
    """Return what is in the store besides the input and the results."""
    return [name for name in store.names() if ".part/" in name] + store.uploads()


@pytest.mark.parametrize(
    ("payload", "mark"),
    [
        ({"file": f"s3://{BUCKET}/out.bin"}, "POST /media/out.bin?uploadId="),
        ({"folder": f"s3://{BUCKET}/out"}, "PUT /media/out/first"),
    ],
    ids=["before completing", "before copying"],
)
def test_what_a_killed_worker_has_begun_is_removed_and_the_job_done_again(
    fleet: Fleet, proxy: Proxy, gate: Gate, store: Store, payload: dict[str, str], mark: str
) -> None:
    gate.mark = mark
    first = fleet.worker("carry")
    job_id = fleet.submit("carry", {"source": f"s3://{BUCKET}/in.bin", **payload})
    eventually(proxy.is_held.is_set)
    assert parts(store)
    os.killpg(first.pid, signal.SIGKILL)
    gate.mark = ""
    fleet.worker("carry")
    job = fleet.wait(job_id)
    assert (job["status"], job["attempts"], job["message"]) == ("completed", 2, "carried")
    assert store.get("out.bin" if "file" in payload else "out/first") == BODY
    eventually(lambda: not parts(store))
    eventually(lambda: not list((fleet.settings.run_dir / "uploads").iterdir()))
    assert fleet.leftovers() == []


def test_a_frozen_worker_does_not_complete_what_another_has_taken_over(
    fleet: Fleet, proxy: Proxy, gate: Gate, store: Store
) -> None:
    gate.mark = "partNumber=3"
    first = fleet.worker("carry")
    job_id = fleet.submit("carry", {"source": f"s3://{BUCKET}/in.bin", "file": f"s3://{BUCKET}/frozen.bin"})
    eventually(proxy.is_held.is_set)
    os.killpg(first.pid, signal.SIGSTOP)
    gate.mark = ""
    fleet.worker("carry", NODE_NAME="another")
    assert fleet.wait(job_id)["attempts"] == 2
    made = store.head("frozen.bin")["Metadata"]
    os.killpg(first.pid, signal.SIGCONT)
    eventually(lambda: not parts(store))
    assert made == {"attempt": f"{job_id}.2"} == store.head("frozen.bin")["Metadata"]
