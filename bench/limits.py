"""What limits and turns cost a job, and how long one job waits behind 100,000 of another API key.

    python -m bench.limits [--jobs 1500] [--rounds 5] [--many 100000]

Each life is submit, claim and settle, one call each, with nothing but the store and the embedded server: what the
scripts add shows most there. The kinds run in turns; the ratios are medians of the rounds' own ratios to plain jobs.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import orjson
import redis

from bench._table import print_table
from workplatform import embedded
from workplatform.bootstrap import Platform, build
from workplatform.settings import load
from workplatform.states import Event, Status
from workplatform.store.records import Claimant, Grant, NewJob, Settlement

QUEUE = "noop"
BULK = 500
CLAIMANT = Claimant("bench", "bench", 0, timedelta(seconds=60))
DONE = Settlement(Status.COMPLETED, Event.COMPLETED, "attempt", result=b'{"success":true}')


def main() -> None:
    """Run the bench and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--many", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DATA_DIR": str(Path(folder) / "data"),
            "JOB_PACKAGES": "bench.noop_jobs",
            "LOG_LEVEL": "warning",
        }
        settings = load().settings
        with embedded.running(settings):
            bench = _Bench(build(settings))
            _print_costs(bench, options.jobs, options.rounds)
            _print_turns(bench, options.many)


class _Bench:
    """Does what the API and workers do, straight against the store."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.client: redis.Redis = platform.connector.client
        self.prefix = platform.settings.key_prefix

    def job(self, by: str = "default", **fields: object) -> NewJob:
        """Prepare a job of an API key."""
        return self.platform.service.prepare({"type": "noop", "payload": {}, **fields}).submitted_by(by)

    def take(self) -> Grant | None:
        """Pop the next message and claim its job, until one is granted."""
        while isinstance(message := self.client.rpop(self._list()), bytes):
            job_id = orjson.loads(message)["headers"]["id"]
            answer = self.platform.store.claim(job_id, CLAIMANT, claim=job_id, message=message)
            if isinstance(answer, Grant):
                return answer
        return None

    def live(self, jobs: list[NewJob]) -> float:
        """Take jobs through their lives, one after the other; return microseconds a job."""
        started = time.perf_counter()
        for job in jobs:
            self.platform.store.create([job])
            grant = self.take()
            if grant is None:
                raise SystemExit(f"job {job.id} was not to be had")
            self.platform.store.settle(grant.id, grant.fence, DONE)
        return (time.perf_counter() - started) * 1e6 / len(jobs)

    def cpu_us(self) -> float:
        """Return the CPU time that the server has used."""
        info = self.client.info("cpu")
        return float(info["used_cpu_user"] + info["used_cpu_sys"]) * 1e6

    def measured(self, jobs: list[NewJob]) -> tuple[float, float]:
        """Return (microseconds, server's CPU microseconds) of a job's life."""
        before = self.cpu_us()
        return self.live(jobs), (self.cpu_us() - before) / len(jobs)

    def _list(self) -> str:
        return f"{self.prefix}{QUEUE}\x06\x162"


def _print_costs(bench: _Bench, jobs: int, rounds: int) -> None:
    kinds: dict[str, Callable[[int], list[NewJob]]] = {
        "plain": lambda _: [bench.job() for _ in range(jobs)],
        "under a limit at a time": lambda _: [bench.job() for _ in range(jobs)],
        "under a rate": lambda _: [bench.job() for _ in range(jobs)],
        "with a concurrencyKey": lambda _: [bench.job(concurrencyKey="a") for _ in range(jobs)],
        "of keys that take turns": lambda number: [bench.job("ab"[at % 2] + str(number)) for at in range(jobs)],
    }
    rules: Mapping[str, str] = {"under a limit at a time": "1000 - -", "under a rate": "- 0.001 1000000"}
    bench.live([bench.job() for _ in range(200)])
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for number in range(rounds):
        for kind, make in kinds.items():
            prepared = make(number)
            bench.platform.store.limits.put("type:noop", {"rule": rules.get(kind, "- - -")})
            if kind == "of keys that take turns":  # two jobs stay in line, so that the lane remains shared
                bench.platform.store.create([bench.job("x"), bench.job("y")])
            found[kind].append(bench.measured(prepared))
            while (grant := bench.take()) is not None:
                bench.platform.store.settle(grant.id, grant.fence, DONE)
    rows = []
    for kind, measured in found.items():
        ratios = [one[0] / plain[0] for one, plain in zip(measured, found["plain"], strict=True)]
        cpu = [one[1] / plain[1] for one, plain in zip(measured, found["plain"], strict=True)]
        times = f"{statistics.median(one[0] for one in measured):.0f}"
        rows.append([kind, times, f"{statistics.median(ratios):.2f}", f"{statistics.median(cpu):.2f}"])
    bench.platform.store.limits.put("type:noop", {"rule": "- - -"})
    print_table(["a job", "us for its life", "times plain", "times plain, server's CPU"], rows)


def _print_turns(bench: _Bench, many: int) -> None:
    for start in range(0, many, BULK):
        bench.platform.store.create([bench.job("many") for _ in range(min(BULK, many - start))])
    single = bench.job("single")
    started = time.perf_counter()
    bench.platform.store.create([single])
    switched_ms = (time.perf_counter() - started) * 1000
    position = 1
    while (grant := bench.take()) is not None and grant.id != single.id:
        position += 1
    print(f"\none job behind {many:,} of another key: begun as number {position}")
    print(f"its submission, which makes the keys take turns: {switched_ms:.1f} ms")


if __name__ == "__main__":
    main()
