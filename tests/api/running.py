"""A real API process on a real server, for tests of what only a process has: sockets, signals, streams."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.processes import end_all
from tests.running import ROOT, free_port
from tests.waiting import eventually
from workplatform import embedded
from workplatform.settings import Settings, load

JOB = {"type": "nap", "payload": {"path": "out.txt"}}


@dataclass(frozen=True)
class Running:
    """A running API."""

    process: subprocess.Popen[bytes]
    settings: Settings
    log_file: Path

    @property
    def url(self) -> str:
        """The API's root."""
        return f"http://127.0.0.1:{self.settings.port}"

    def is_up(self) -> bool:
        """Whether the process answers; fails if it has ended."""
        assert self.process.poll() is None, self.log_file.read_text()
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    def submit(self, **fields: object) -> str:
        """Submit a job; returns its id."""
        response = requests.post(f"{self.url}/api/jobs", json={**JOB, **fields}, timeout=10)
        assert response.status_code == 202, response.text
        return str(response.json()["jobId"])

    def stop(self) -> int:
        """Ask the process to stop and wait for it."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def settings_in(folder: Path, **more: str) -> Settings:
    """Settings of a platform with a data directory and a port of its own."""
    return load(environ_in(folder, **more), env_file=folder / "none").settings


def environ_in(folder: Path, **more: str) -> dict[str, str]:
    """The environment of such a platform."""
    own = {"DATA_DIR": str(folder / "data"), "ALLOWED_ROOTS": str(folder), "JOB_PACKAGES": "tests.jobs"}
    return {**own, "PORT": str(free_port()), **more}


@contextmanager
def running_api(folder: Path, **more: str) -> Iterator[Running]:
    """Run an API for the length of a `with` block; the server is the caller's to run."""
    environ = environ_in(folder, **more)
    settings = load(environ, env_file=folder / "none").settings
    log_file = folder / f"api-{settings.port}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "api"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "LOG_FORMAT": "json", **environ},
            stdout=log,
            stderr=log,
        )
    running = Running(process, settings, log_file)
    try:
        eventually(running.is_up)
        yield running
    finally:
        end_all(process)  # its worker would live on for a moment, and use the folder and the server


@contextmanager
def running_both(folder: Path, **more: str) -> Iterator[Running]:
    """Run a server and an API."""
    with embedded.running(settings_in(folder)), running_api(folder, **more) as api:
        yield api
