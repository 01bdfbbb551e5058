"""A network that is cut between a worker and Redis: to the worker nothing answers any more, and nothing says why."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.platform import all_completed, differences
from tests.faults.relay import relaying
from tests.integration.fleet import Fleet, log_events, running_fleet
from tests.waiting import eventually
from workplatform import embedded


@dataclass(frozen=True)
class Link:
    """A namespace that reaches this machine by one cable."""

    namespace: str
    cable: str
    here: str

    def cut(self) -> None:
        """Pull the cable: packets vanish, nobody is told."""
        ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        """Plug it in again."""
        ip("link", "set", self.cable, "up")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)  # noqa: S607


@contextmanager
def linked() -> Iterator[Link]:
    """Give a namespace for a worker; skips where there can be none, but not in continuous integration."""
    can = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("ip")
    if not can and not os.environ.get("CI"):
        pytest.skip("network namespaces need root on Linux and iproute2 (Debian: apt install iproute2)")
    name, subnet = f"wpcut{os.getpid()}", f"10.98.{os.getpid() % 250}"
    link = Link(name, f"cut{os.getpid()}", f"{subnet}.1")
    ip("netns", "add", name)
    try:
        ip("link", "add", link.cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("address", "add", f"{link.here}/24", "dev", link.cable)
        ip("link", "set", link.cable, "up")
        ip("-n", name, "address", "add", f"{subnet}.2/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", name, "link", "set", device, "up")
        yield link
    finally:
        ip("netns", "delete", name)


def start_behind(fleet: Fleet, link: Link, queue: str, url: str) -> None:
    """Start a worker that reaches Redis over the link alone."""
    env = {"QUEUE_TYPE": "redis", "REDIS_URL": url, "NODE_NAME": "behind"}
    command = ["ip", "netns", "exec", link.namespace, sys.executable, "-m", "workplatform", "worker", queue]
    fleet.start_command(command, **env)
    fleet.wait_served(queue)


def test_a_worker_that_is_cut_off_loses_its_jobs_and_cannot_finish_them(tmp_path: Path) -> None:
    with (
        linked() as link,
        running_fleet(tmp_path) as fleet,
        relaying(embedded.socket_path(fleet.settings), host=link.here) as relay,
    ):
        fleet.start("scheduler")
        start_behind(fleet, link, "late", relay.url)
        go = tmp_path / "go"
        job_id = fleet.submit("late", {"path": "late.txt", "text": str(go)})
        fleet.wait(job_id, "running")
        link.cut()
        fleet.worker("late", NODE_NAME="near")
        eventually(lambda: fleet.job(job_id)["attempts"] == 2, within_s=30)
        go.touch()
        all_completed(fleet, [job_id])
        assert (tmp_path / "late.txt").read_text() == "attempt 2"
        link.mend()
        eventually(lambda: [line for line in log_events(fleet) if line["event"] == "job_taken_away"], within_s=40)
        assert (tmp_path / "late.txt").read_text() == "attempt 2"
        assert fleet.job(job_id)["attempts"] == 2
        assert differences(fleet) == []
        after = [fleet.submit("late", {"path": f"after-{number}.txt", "text": str(go)}) for number in range(4)]
        all_completed(fleet, after)
        assert differences(fleet) == []
