"""What Celery's task events, which Flower shows, cost: no-op jobs per second without them, with them, and with Flower.

    python -m bench.flower_events [--jobs 1000] [--rounds 3]

The rival is stock Celery, which pays for its events too (`-E`). All run on the same embedded server and in turns; what
events cost is the median of the rounds' own ratios. Without them a worker of ours takes its next job in the step that
settles the last one, and passes by Celery's requests and tracer; with them every job comes through Celery.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import redis

from bench._servers import free_port
from bench._table import print_table
from bench.stock_celery import app, noop
from workplatform import embedded
from workplatform.bootstrap import Platform, build
from workplatform.settings import load

POOL = 4
QUIET, TOLD, SHOWN = "without events", "with events", "with events and Flower"


class Runner(Protocol):
    """Something that runs no-op jobs."""

    def put_up(self, jobs: int) -> None:
        """Prepare them."""

    def let_go(self) -> None:
        """Have them run."""

    def is_done(self) -> bool:
        """Whether all have run."""


def rate(runner: Runner, jobs: int) -> float:
    """Return how many jobs a second it runs."""
    runner.put_up(jobs)
    started = time.perf_counter()
    runner.let_go()
    while not runner.is_done():
        time.sleep(0.005)
    return jobs / (time.perf_counter() - started)


class Ours:
    """A platform with one worker, which has a prefix of its own in the server."""

    def __init__(self, platform: Platform) -> None:
        self._service = platform.service
        self._client = platform.connector.client
        self._done_key = platform.settings.key_prefix + "index:noop:completed"
        self._goal = 0

    def put_up(self, jobs: int) -> None:
        """Prepare the jobs."""
        self._goal = int(self._client.zcard(self._done_key)) + jobs
        self._prepared = [self._service.prepare({"type": "noop", "payload": {}}) for _ in range(jobs)]

    def let_go(self) -> None:
        """Submit them."""
        self._service.create(self._prepared)

    def is_done(self) -> bool:
        """Whether all are completed."""
        return int(self._client.zcard(self._done_key)) >= self._goal


class Stock:
    """A stock worker on a queue of its own, one after the other: they share the key of what is not acknowledged."""

    def __init__(self, client: redis.Redis, queue: str) -> None:
        self._client, self._queue = client, queue

    def put_up(self, jobs: int) -> None:
        """Queue the tasks aside."""
        for _ in range(jobs):
            noop.apply_async(queue="aside")

    def let_go(self) -> None:
        """Hand them over at once."""
        self._client.rename("aside", self._queue)

    def is_done(self) -> bool:
        """Whether all are taken and acknowledged."""
        return not self._client.llen(self._queue) and not self._client.hlen("unacked")


def main() -> None:
    """Run the bench and print its table; exit 1 if stock Celery with events is faster."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if importlib.util.find_spec("flower") is None:
        sys.exit("Flower is not installed: pip install flower")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(_environment(Path(folder)))
        with embedded.running(load().settings) as address:
            os.environ["BENCH_REDIS"] = address
            os.environ["BENCH_BROKER"] = app.conf.broker_url = address.replace("unix://", "redis+socket://")
            with _processes():
                _report(_measure(redis.Redis.from_url(address), options))


def _environment(folder: Path) -> dict[str, str]:
    return {
        "DATA_DIR": str(folder / "data"),
        "ALLOWED_ROOTS": str(folder),
        "JOB_PACKAGES": "bench.noop_jobs",
        "CONCURRENCY_NOOP": str(POOL),
        "MAX_CONCURRENT_JOBS": "100",
        "LOG_LEVEL": "warning",
    }


def _own(kind: str) -> dict[str, str]:
    prefix = {QUIET: "quiet:", TOLD: "told:", SHOWN: "shown:"}[kind]
    return {"KEY_PREFIX": prefix, "NODE_NAME": prefix[:-1], "TASK_EVENTS": str(kind != QUIET).lower()}


@contextmanager
def _processes() -> Iterator[None]:
    ours = [sys.executable, "-m", "workplatform"]
    stock = [sys.executable, "-m", "celery", "-A", "bench.stock_celery", "worker", "-c", str(POOL), "-l", "error"]
    flower = os.environ | _own(SHOWN) | {"FLOWER_PORT": str(free_port())}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    kinds = (QUIET, TOLD, SHOWN)
    started = [subprocess.Popen([*ours, "worker", "noop"], env=os.environ | _own(kind)) for kind in kinds]
    started.append(subprocess.Popen([*ours, "flower"], env=flower))
    started.append(subprocess.Popen([*stock, "-Q", "quiet", "-n", "quiet@bench"], **quiet))
    started.append(subprocess.Popen([*stock, "-Q", "told", "-n", "told@bench", "-E"], **quiet))
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def _measure(client: redis.Redis, options: argparse.Namespace) -> dict[tuple[str, str], list[float]]:
    runners: dict[tuple[str, str], Runner] = {}
    for kind in (QUIET, TOLD, SHOWN):
        runners["Work Platform", kind] = Ours(build(load(os.environ | _own(kind)).settings))
    runners["stock Celery", QUIET], runners["stock Celery", TOLD] = Stock(client, "quiet"), Stock(client, "told")
    rates: dict[tuple[str, str], list[float]] = {name: [] for name in runners}
    for runner in runners.values():
        rate(runner, 50)
    for _ in range(options.rounds):
        for name, runner in runners.items():
            rates[name].append(rate(runner, options.jobs))
    return rates


def _report(rates: dict[tuple[str, str], list[float]]) -> None:
    rows = []
    for (system, kind), measured in rates.items():
        shares = [told / quiet for told, quiet in zip(measured, rates[system, QUIET], strict=True)]
        lost = 1 - statistics.median(shares)
        rows.append([system, kind, f"{statistics.median(measured):,.0f}", "" if kind == QUIET else f"{lost:.0%}"])
    print_table(["system", "", "no-op jobs/s", "events cost"], rows)
    pairs = zip(rates["Work Platform", TOLD], rates["stock Celery", TOLD], strict=True)
    ours = statistics.median(a / b for a, b in pairs)
    print(f"\nwith events, against stock Celery with events: {ours:.2f}x (at least 1)")
    sys.exit(0 if ours >= 1 else 1)


if __name__ == "__main__":
    main()
