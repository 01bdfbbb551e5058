"""What a step of a flow, a job of a batch and a delayed job cost, against a plain job.

    python -m bench.flows [--jobs 600] [--rounds 5]

One worker runs no-op jobs in turns: plain ones, those of a batch, delayed ones which a scheduler queues, all due at
once, steps that stand side by side, steps of which each waits for the one before, and the same with a reference to its
result. Told are jobs per second, and the CPU time of Redis for each job from its making to its end; the ratios are
medians of the rounds' own ratios. Chains are many at a time, so that the worker is never idle for want of a parent.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench._table import print_table
from workplatform import embedded
from workplatform.bootstrap import Platform, build
from workplatform.scheduler import Scheduler
from workplatform.settings import load

STEPS: Final = 10
PLAIN: Final = "plain jobs"
_NOOP: Final[dict[str, Any]] = {"type": "noop", "payload": {}}


def main() -> None:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(_environment(Path(folder)))
        settings = load().settings
        with embedded.running(settings), _worker():
            _run(Course(build(settings)), options.jobs, options.rounds)


def _environment(folder: Path) -> dict[str, str]:
    return {
        "DATA_DIR": str(folder / "data"),
        "ALLOWED_ROOTS": str(folder),
        "JOB_PACKAGES": "bench.noop_jobs",
        "MAX_CONCURRENT_JOBS": "100",
        "LOG_LEVEL": "warning",
    }


@contextmanager
def _worker() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "workplatform", "worker", "noop"])
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


class Course:
    """Jobs from their making to their end, in one way or another."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._client = platform.connector.client
        self._done_key = platform.settings.key_prefix + "index:noop:completed"
        self._scheduled_key = platform.settings.key_prefix + "scheduled"
        self._scheduler = Scheduler(platform)
        self.ways: dict[str, Callable[[int], None]] = {
            PLAIN: self._plain,
            "jobs of a batch": self._batch,
            "delayed jobs": self._delayed,
            "steps side by side": lambda jobs: self._flows(jobs, is_chain=False),
            "steps one after the other": lambda jobs: self._flows(jobs, is_chain=True),
            "the same, with a reference": lambda jobs: self._flows(jobs, is_chain=True, note="a ${%s.result.success}"),
        }

    def run(self, way: str, jobs: int) -> tuple[float, float]:
        """Make jobs and wait for their end; returns jobs per second and ms of Redis's CPU time for each."""
        goal = int(self._client.zcard(self._done_key)) + jobs
        cpu_s, started = self._cpu_s(), time.perf_counter()
        self.ways[way](jobs)
        while int(self._client.zcard(self._done_key)) < goal:
            time.sleep(0.01)
        return jobs / (time.perf_counter() - started), 1000 * (self._cpu_s() - cpu_s) / jobs

    def _plain(self, jobs: int) -> None:
        service = self._platform.service
        service.create([service.prepare(_NOOP) for _ in range(jobs)])

    def _batch(self, jobs: int) -> None:
        groups, service = self._platform.groups, self._platform.service
        batch, batch_id = groups.batch_of({"jobs": [0]})
        service.create(groups.batched([service.prepare(_NOOP) for _ in range(jobs)], batch, batch_id))

    def _delayed(self, jobs: int) -> None:
        service = self._platform.service
        service.create([service.prepare(_NOOP | {"delay": 1}) for _ in range(jobs)])
        while self._client.zcard(self._scheduled_key):
            self._scheduler.tick()

    def _flows(self, jobs: int, *, is_chain: bool, note: str = "") -> None:
        for _ in range(jobs // STEPS):
            steps: dict[str, Any] = {}
            for number in range(STEPS):
                before = f"s{number - 1}"
                is_later = is_chain and number > 0
                payload = {"note": note % before} if is_later and note else {}
                after = [before] if is_later else []
                steps[f"s{number}"] = {"type": "noop", "payload": payload, "dependsOn": after}
            self._platform.groups.create_flow({"steps": steps})

    def _cpu_s(self) -> float:
        used = self._client.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def _run(course: Course, jobs: int, rounds: int) -> None:
    for way in course.ways:
        course.run(way, 10 * STEPS)
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in course.ways}
    for _ in range(rounds):
        for way in course.ways:
            found[way].append(course.run(way, jobs // STEPS * STEPS))
    rows = [[way, *_figures(found[way], found[PLAIN])] for way in course.ways]
    print_table(["", "jobs/s", "against plain", "Redis CPU, ms a job", "against plain"], rows)


def _figures(way: list[tuple[float, float]], plain: list[tuple[float, float]]) -> list[str]:
    pairs = list(zip(way, plain, strict=True))
    return [
        f"{statistics.median(rate for rate, _ in way):,.0f}",
        f"{statistics.median(a[0] / b[0] for a, b in pairs):.2f}x",
        f"{statistics.median(cpu for _, cpu in way):.3f}",
        f"{statistics.median(a[1] / b[1] for a, b in pairs):.2f}x",
    ]


if __name__ == "__main__":
    main()
