"""How long the platform needs to go on after kill -9: of workers, and of the server.

    python -m bench.recovery [--kills 20]

A worker's job counts as recovered when its next attempt begins on another worker; leases have their default length.
The server is started again at once, as `up` does; it counts as recovered when the worker, which runs a job all the
time, has begun a job that was submitted as soon as the server answered. The running job has to outlast all of it.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench._table import print_table
from workplatform import embedded
from workplatform.bootstrap import Platform, build
from workplatform.errors import StoreUnavailableError
from workplatform.settings import load
from workplatform.store.records import Record

AT_ONCE = 5
WORKERS_WITHIN_S = 15.0
SERVER_WITHIN_S = 5.0


def main() -> None:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(_environment(Path(folder)))
        with _Stage() as stage:
            of_workers = [took for _ in range(max(1, options.kills // AT_ONCE)) for took in stage.kill_workers()]
            of_server = stage.kill_server(options.kills)
    rows = [
        _row("a worker: its job runs again", of_workers, WORKERS_WITHIN_S),
        _row("the server: a new job runs", of_server, SERVER_WITHIN_S),
    ]
    print_table(["after kill -9 of", "times", "median, s", "worst, s", "promised, s"], rows)


def _row(what: str, took: list[float], promised: float) -> list[str]:
    return [what, str(len(took)), f"{statistics.median(took):.2f}", f"{max(took):.2f}", f"{promised:.0f}"]


def _environment(folder: Path) -> dict[str, str]:
    return {
        "DATA_DIR": str(folder / "data"),
        "ALLOWED_ROOTS": str(folder),
        "JOB_PACKAGES": "bench.hold_jobs",
        "MAX_CONCURRENT_JOBS": "100",
        "LOG_LEVEL": "error",
    }


class _Stage:
    """A server, a scheduler and workers that come and go."""

    def __init__(self) -> None:
        self._settings = load().settings
        self._platform: Platform = build(self._settings)
        self._roles: list[subprocess.Popen[bytes]] = []
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "_Stage":
        self._start_server()
        self._start("scheduler")
        return self

    def __exit__(self, *_: object) -> None:
        for role in self._roles:
            role.kill()
            role.wait()
        self._end_server()
        self._platform.close()
        embedded.tidy(self._settings)

    def kill_workers(self) -> Iterator[float]:
        """Kill some workers at different moments of their heartbeats; gives how long each one's job lay still."""
        doomed = {f"hold@n{number}": self._start("worker", "hold", NODE_NAME=f"n{number}") for number in range(AT_ONCE)}
        jobs = [self._submit(ends=False) for _ in doomed]
        _wait(lambda: all(self._job(job_id)["status"] == "running" for job_id in jobs))
        killed: dict[str, float] = {}
        workers = {job_id: self._record(job_id).worker or "" for job_id in jobs}
        with self._survivor():
            for name, worker in doomed.items():
                killed[name] = time.time()
                worker.kill()
                worker.wait()
                time.sleep(0.31)
            _wait(lambda: all(self._job(job_id)["status"] == "completed" for job_id in jobs))
        for job_id in jobs:
            yield self._began(job_id) - killed[workers[job_id]]

    def kill_server(self, times: int) -> list[float]:
        """Kill the server again and again under a worker that runs a job; returns how long a new job waited."""
        worker = self._start("worker", "hold", CONCURRENCY_HOLD="2")
        running = self._submit(ends=False)
        _wait(lambda: self._job(running)["status"] == "running")
        took = []
        for _ in range(times):
            self._end_server()
            time.sleep(0.5)  # the supervisor's pause
            self._start_server()
            ready = time.time()
            job_id = self._submit(ends=True)
            _wait(lambda one=job_id: self._job(one)["status"] == "completed")
            took.append(self._began(job_id) - ready)
        job = self._job(running)
        if (job["status"], job["attempts"]) != ("running", 1):
            sys.exit(f"the running job did not outlast it: {job}")
        worker.kill()
        worker.wait()
        return took

    @contextmanager
    def _survivor(self) -> Iterator[None]:
        survivor = self._start("worker", "hold", CONCURRENCY_HOLD="20")
        _wait(lambda: any(worker.about.pid == survivor.pid for worker in self._platform.store.workers.everyone()))
        try:
            yield
        finally:
            survivor.kill()
            survivor.wait()

    def _start_server(self) -> None:
        embedded.prepare(self._settings)
        self._server = subprocess.Popen(embedded.command(self._settings), stdout=subprocess.DEVNULL)
        embedded.wait_ready(self._settings)

    def _end_server(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGKILL)
            self._server.wait()

    def _start(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "workplatform", *words]
        process = subprocess.Popen(command, env=os.environ | env, stdout=subprocess.DEVNULL)
        self._roles.append(process)
        return process

    def _submit(self, *, ends: bool) -> str:
        job = self._platform.service.prepare({"type": "hold", "payload": {"ends": ends}})
        self._platform.service.create([job])
        return job.id

    def _job(self, job_id: str) -> dict[str, object]:
        return self._platform.service.get(job_id)

    def _began(self, job_id: str) -> float:
        started = self._record(job_id).started_at
        return started.timestamp() if started else float("nan")

    def _record(self, job_id: str) -> Record:
        return self._platform.store.get(job_id)


def _wait(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if is_true():
                return
        except StoreUnavailableError:
            pass
        if time.monotonic() > deadline:
            sys.exit("it does not recover within a minute")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
