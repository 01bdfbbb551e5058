"""The whole platform in a subprocess, as `workplatform up` starts it, for tests of its outside."""

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from tests.waiting import eventually

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Up:
    """A running platform."""

    process: subprocess.Popen[bytes]
    folder: Path
    environ: dict[str, str]
    log_file: Path

    @property
    def url(self) -> str:
        """The API's root."""
        return f"http://127.0.0.1:{self.environ['PORT']}"

    @property
    def text(self) -> str:
        """The log so far."""
        return self.log_file.read_text()

    def everyone(self) -> list[psutil.Process]:
        """All processes of the platform but the supervisor."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line against this platform."""
        return subprocess.run(
            [sys.executable, "-m", "workplatform", *words],
            cwd=self.folder,
            env={**self.environ, **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def is_ready(self) -> bool:
        """Whether the store and all workers are there; fails if the platform has ended."""
        assert self.process.poll() is None, self.text
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).ok
        except requests.RequestException:
            return False


def free_port() -> int:
    """Return a port that nobody uses right now, and that the kernel gives nobody by itself.

    Between this and its use other tests run, in other processes too.
    """
    while True:
        port = random.randrange(10_000, 32_000)  # Linux's own choices begin at 32768
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def start_up(folder: Path, *options: str, **env: str) -> Up:
    """Start a platform in a folder, with options of `up`; does not wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {"PORT": str(free_port()), "DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT)}
    environ = {**os.environ, **own, "LOG_FORMAT": "console", **env}
    log_file = folder / "up.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "workplatform", "up", *options],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Up(process, folder, environ, log_file)


@contextmanager
def running_up(folder: Path, *options: str, **env: str) -> Iterator[Up]:
    """Run a platform for the length of a `with` block, ready to work."""
    up = start_up(folder, *options, **env)
    try:
        eventually(up.is_ready, within_s=120)
        yield up
    finally:
        if up.process.poll() is None:
            up.process.send_signal(signal.SIGTERM)
        up.process.wait(60)
