"""The engine's own cost: no-op jobs per second and idle start latency, against stock Celery and a bare BRPOP loop.

    python -m bench.engine [--jobs 3000] [--rounds 3]

All three use the same embedded server and run in turns; the ratios are medians of the rounds' own ratios. Stock Celery
runs with its default settings and the same pool size; a job of ours goes through claim, lease, events and finish.
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

import redis

from bench._table import print_table
from bench.stock_celery import app, noop
from workplatform import embedded
from workplatform.bootstrap import Platform, build
from workplatform.settings import load

POOL = 4
_BARE = """
import os, redis, time
client = redis.Redis.from_url(os.environ["BENCH_REDIS"], socket_timeout=None)
while True:
    _, sent = client.brpop("bare")
    client.lpush("bare-started", repr(time.time()))
"""


def main() -> None:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(_environment(Path(folder)))
        settings = load().settings
        with embedded.running(settings) as address, _workers(address):
            app.conf.broker_url = os.environ["BENCH_BROKER"]
            platform = build(settings)
            _run(platform, redis.Redis.from_url(address, socket_timeout=None), options)


def _environment(folder: Path) -> dict[str, str]:
    return {
        "DATA_DIR": str(folder / "data"),
        "ALLOWED_ROOTS": str(folder),
        "JOB_PACKAGES": "bench.noop_jobs",
        "CONCURRENCY_NOOP": str(POOL),
        "MAX_CONCURRENT_JOBS": "100",
        "LOG_LEVEL": "warning",
    }


@contextmanager
def _workers(address: str) -> Iterator[None]:
    os.environ["BENCH_REDIS"] = address
    os.environ["BENCH_BROKER"] = address.replace("unix://", "redis+socket://")
    stock = [sys.executable, "-m", "celery", "-A", "bench.stock_celery", "worker", "-c", str(POOL), "-l", "error"]
    started = [
        subprocess.Popen([sys.executable, "-m", "workplatform", "worker", "noop"]),
        subprocess.Popen(stock, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),
        subprocess.Popen([sys.executable, "-c", _BARE]),
    ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def _run(platform: Platform, client: redis.Redis, options: argparse.Namespace) -> None:
    from_stock = _Stock(client)
    ours = _Ours(platform)
    for system in (ours, from_stock):
        system.drain(20)
    rates: dict[str, list[float]] = {"ours": [], "stock": []}
    waits: dict[str, list[float]] = {"ours": [], "stock": [], "bare": []}
    for _ in range(options.rounds):
        rates["ours"].append(ours.drain(options.jobs))
        rates["stock"].append(from_stock.drain(options.jobs))
        waits["ours"].append(_median_ms(ours.start_one))
        waits["stock"].append(_median_ms(from_stock.start_one))
        waits["bare"].append(_median_ms(lambda: _bare_start(client)))
    ratio = statistics.median(a / b for a, b in zip(rates["ours"], rates["stock"], strict=True))
    limit = statistics.median(1.5 * bare + 1 for bare in waits["bare"])
    print_table(
        ["system", "no-op jobs/s", "idle start, ms p50"],
        [
            ["Work Platform", f"{statistics.median(rates['ours']):,.0f}", f"{statistics.median(waits['ours']):.2f}"],
            ["stock Celery", f"{statistics.median(rates['stock']):,.0f}", f"{statistics.median(waits['stock']):.2f}"],
            ["bare BRPOP", "", f"{statistics.median(waits['bare']):.2f}"],
        ],
    )
    print(f"\nno-op jobs/s against stock Celery: {ratio:.2f}x (at least 2)")
    print(f"idle start: {statistics.median(waits['ours']):.2f} ms (at most {limit:.2f}: 1.5x bare BRPOP + 1 ms)")


class _Ours:
    """Submits to Work Platform, with nothing but the service between."""

    def __init__(self, platform: Platform) -> None:
        self._service = platform.service
        self._client = platform.connector.client
        self._done_key = platform.settings.key_prefix + "index:noop:completed"

    def drain(self, jobs: int) -> float:
        """Queue jobs in bulk; return how many a second were completed."""
        goal = int(self._client.zcard(self._done_key)) + jobs
        prepared = [self._service.prepare({"type": "noop", "payload": {}}) for _ in range(jobs)]
        started = time.perf_counter()
        self._service.create(prepared)
        while int(self._client.zcard(self._done_key)) < goal:
            time.sleep(0.005)
        return jobs / (time.perf_counter() - started)

    def start_one(self) -> float:
        """Submit a job to the idle worker; return the seconds until its handler began."""
        sent = time.time()
        self._service.create([self._service.prepare({"type": "noop", "payload": {"tell": True}})])
        return _answer(self._client, "ours-started") - sent


class _Stock:
    """Submits to Celery as its users do."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def drain(self, jobs: int) -> float:
        """Queue jobs aside, hand them over at once; return how many a second were taken and acknowledged."""
        for _ in range(jobs):
            noop.apply_async(queue="aside")
        started = time.perf_counter()
        self._client.rename("aside", "celery")
        while self._client.llen("celery") or self._client.hlen("unacked"):
            time.sleep(0.005)
        return jobs / (time.perf_counter() - started)

    def start_one(self) -> float:
        """Submit a job to the idle worker; return the seconds until its function began."""
        sent = time.time()
        noop.delay(tell=True)
        return _answer(self._client, "stock-started") - sent


def _bare_start(client: redis.Redis) -> float:
    sent = time.time()
    client.lpush("bare", 1)
    return _answer(client, "bare-started") - sent


def _answer(client: redis.Redis, key: str) -> float:
    answer = client.brpop([key], timeout=20)
    if answer is None:
        raise SystemExit(f"no answer on {key}")
    return float(answer[1])


def _median_ms(measure: Callable[[], float], times: int = 60) -> float:
    values = []
    for _ in range(times):
        values.append(measure() * 1000)
        time.sleep(0.01)
    return statistics.median(values)


if __name__ == "__main__":
    main()
