"""A fleet of real role processes around one embedded server, without the API."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from tests.integration.forked import Forked
from tests.running import ROOT
from tests.waiting import eventually
from workplatform import embedded
from workplatform.bootstrap import Platform, build
from workplatform.settings import Settings, load

Process: TypeAlias = Forked | subprocess.Popen[bytes]


class Server:
    """The embedded server, to be killed and started again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        embedded.prepare(self._settings)
        command = embedded.command(self._settings)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        embedded.wait_ready(self._settings)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it without any chance to say goodbye."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)
        embedded.tidy(self._settings)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()


class Fleet:
    """Processes of one platform, and the service to talk to it."""

    def __init__(self, folder: Path, settings: Settings, environ: dict[str, str], server: Server) -> None:
        self.folder = folder
        self.settings = settings
        self.server = server
        self.environ = environ
        self.platform: Platform = build(settings)
        self._log = folder / "roles.log"
        self._processes: list[Process] = []

    def start(self, role: str, *words: str, **env: str) -> Process:
        """Start a role in a session of its own."""
        if role == "api":  # gevent has to be there before all else
            return self._popen([sys.executable, "-m", "workplatform", role, *words], env)
        process = Forked([role, *words], folder=self.folder, environ=self.environ | env, log=self._log)
        self._processes.append(process)
        return process

    def start_command(self, command: list[str], **env: str) -> subprocess.Popen[bytes]:
        """Start a role by a command of the test's own."""
        return self._popen(command, env)

    def start_celery(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a worker with Celery's own command line."""
        return self._popen([sys.executable, "-m", "celery", "-A", "workplatform.celery_app", "worker", *words], {})

    def worker(self, queue: str, **env: str) -> Process:
        """Start a worker and wait until it serves its queue."""
        process = self.start("worker", queue, **env)
        self.wait_served(queue)
        return process

    def wait_served(self, queue: str) -> None:
        """Wait until a worker serves the queue."""
        eventually(lambda: queue in self.platform.store.queues.states().served, within_s=60)

    def submit(self, job_type: str, payload: dict[str, Any] | None = None, **more: Any) -> str:
        """Submit a job; returns its id."""
        job = self.platform.service.prepare({"type": job_type, "payload": payload or {}, **more})
        self.platform.service.create([job])
        return job.id

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job as the API shows it."""
        return self.platform.service.get(job_id)

    def wait(self, job_id: str, *statuses: str, within_s: float = 60.0) -> dict[str, Any]:
        """Wait for one of the statuses (any final one by default); returns the job."""
        wanted = statuses or ("completed", "failed", "cancelled")
        eventually(lambda: self.job(job_id)["status"] in wanted, within_s=within_s)
        return self.job(job_id)

    def events(self, job_id: str) -> list[str]:
        """Return what happened to a job, progress and logs left out."""
        noise = ("job:progress", "job:log")
        happened = self.platform.service.events.after("0-0", limit=100_000)
        return [event.event for event in happened if event.job_id == job_id and event.event not in noise]

    def leftovers(self) -> list[str]:
        """Return temporaries, journals and scratch folders that are still there."""
        state = self.settings.data_dir
        found = [
            *self.folder.rglob(".job_*.part"),
            *(state / "run" / "attempts").glob("*"),
            *(state / "work").glob("*"),
        ]
        return [str(path.relative_to(self.folder)) for path in found]

    def counts(self) -> dict[str, int]:
        """Return the number of jobs in each status."""
        counts: dict[str, int] = self.platform.service.stats()["jobs"]
        return counts

    def close(self) -> None:
        """End every process."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.platform.close()

    def _popen(self, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environ | env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process


@contextmanager
def running_fleet(folder: Path, **env: str) -> Iterator[Fleet]:
    """Give a fleet with a server and no roles yet; its lease is short, so that tests need not wait long."""
    own = {
        "DATA_DIR": str(folder / "data"),
        "ALLOWED_ROOTS": str(folder),
        "JOB_PACKAGES": "workers,tests.jobs",
        "LEASE": "2",
        "HEARTBEAT": "0.5",
        "SHUTDOWN_GRACE": "1",
        "LOG_FORMAT": "json",
        **env,
    }
    settings = load(own, env_file=folder / "none").settings
    environ = {**os.environ, **own, "PYTHONPATH": str(ROOT)}
    server = Server(settings)
    server.start()
    fleet = Fleet(folder, settings, environ, server)
    try:
        yield fleet
    finally:
        fleet.close()
        server.stop()


def log_events(fleet: Fleet) -> list[dict[str, Any]]:
    """Return the log lines of the roles that are JSON."""
    lines = (fleet.folder / "roles.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
