"""Submission over HTTP: requests per second against Flask + apply_async, arrays against Fastify + addBulk.

    (cd bench/rivals && npm install)
    python -m bench.submit [--rounds 3] [--seconds 4]

One process each, wrk with one thread and 16 connections, in turns; every visit finds an embedded server that was just
started, as one whose memory other visits have left in pieces is slower. Ours validates each payload and writes record,
index, event and message; the ratios are medians of the rounds' own ratios.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench._servers import RIVALS, cpu_s, free_port, gunicorn, ours, serving
from bench._table import print_table
from workplatform import embedded
from workplatform.settings import load

ARRAY = 100
_CONNECTIONS = 16
_JOB = {
    "type": "thumbnail",
    "payload": {"videoPath": "/data/videos/0123456789.mp4", "outputPath": "/data/thumbs/0123.webp", "width": 320},
}


@dataclass(frozen=True)
class Figure:
    """What one visit measured."""

    jobs_per_s: float
    cpu_us: float


@dataclass(frozen=True)
class Case:
    """One server under one kind of request."""

    name: str
    jobs: int
    command: Callable[[int], list[str]]

    def visit(self, seconds: int) -> Figure:
        """Start the server and its Redis, warm them up, and measure."""
        with tempfile.TemporaryDirectory() as folder:
            os.environ.update({"DATA_DIR": f"{folder}/data", "LOG_LEVEL": "warning"})
            port = free_port()
            with (
                embedded.running(load().settings) as address,
                serving(self.command(port), port, _environment(address)) as server,
            ):
                self._measure(Path(folder), port, server.pid, 1)
                return self._measure(Path(folder), port, server.pid, seconds)

    def _measure(self, folder: Path, port: int, pid: int, seconds: int) -> Figure:
        """Return accepted jobs per second, and the server's CPU time for each in microseconds."""
        script = folder / f"{self.jobs}.lua"
        body = json.dumps(_JOB if self.jobs == 1 else [_JOB] * self.jobs, separators=(",", ":"))
        script.write_text(
            f"wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = [==[{body}]==]\n"
        )
        load_of = ("-t1", f"-c{_CONNECTIONS}", f"-d{seconds}", "-s", str(script))
        url = f"http://127.0.0.1:{port}/api/jobs"
        before = cpu_s(pid)
        told = subprocess.run(["wrk", *load_of, url], capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in told:
            sys.exit(f"{self.name} refused requests:\n{told}")
        spent = cpu_s(pid) - before
        rate, requests = _found(r"Requests/sec:\s+([\d.]+)", told), _found(r"(\d+) requests in", told)
        return Figure(rate * self.jobs, 1e6 * spent / (requests * self.jobs))


def main() -> None:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    _require_rivals()
    figures: dict[Case, list[Figure]] = {case: [] for case in _CASES}
    for _ in range(options.rounds):
        for case in _CASES:
            figures[case].append(case.visit(options.seconds))
    _show(figures)


def _require_rivals() -> None:
    missing = [program for program in ("wrk", "node") if not shutil.which(program)]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}")
    if not (RIVALS / "node_modules" / "bullmq").is_dir():
        sys.exit(f"Fastify and BullMQ are missing: (cd {RIVALS} && npm install)")


def _environment(address: str) -> dict[str, str]:
    return {
        "BENCH_BROKER": address.replace("unix://", "redis+socket://"),
        "BENCH_SOCKET": address.removeprefix("unix://"),
    }


def _ours(_: int) -> list[str]:
    return ours()


def _celery(port: int) -> list[str]:
    return gunicorn("flask_celery:app", port, "-k", "gthread", "--threads", "8")


def _fastify(_: int) -> list[str]:
    return ["node", str(RIVALS / "fastify_bullmq.js")]


# Each pair is ours, then the rival.
_CASES = (
    Case("ours", 1, _ours),
    Case("Flask + apply_async, gthread", 1, _celery),
    Case(f"ours, arrays of {ARRAY}", ARRAY, _ours),
    Case(f"Fastify + BullMQ addBulk, arrays of {ARRAY}", ARRAY, _fastify),
)


def _found(pattern: str, told: str) -> float:
    found = re.search(pattern, told)
    if not found:
        sys.exit(f"wrk says something else than expected:\n{told}")
    return float(found[1])


def _show(figures: dict[Case, list[Figure]]) -> None:
    cases = list(figures)
    rows: list[Sequence[str]] = []
    for own, rival in zip(cases[::2], cases[1::2], strict=True):
        pairs = list(zip(figures[own], figures[rival], strict=True))
        faster = statistics.median(a.jobs_per_s / b.jobs_per_s for a, b in pairs)
        cheaper = statistics.median(b.cpu_us / a.cpu_us for a, b in pairs)
        rows.append(_row(own, figures[own], f"{faster:.2f}", f"{cheaper:.2f}"))
        rows.append(_row(rival, figures[rival], "1.00", "1.00"))
    print_table(("case", "jobs/s", "x rival", "server CPU us/job", "x cheaper"), rows)


def _row(case: Case, figures: Sequence[Figure], faster: str, cheaper: str) -> Sequence[str]:
    rate = statistics.median(figure.jobs_per_s for figure in figures)
    cpu = statistics.median(figure.cpu_us for figure in figures)
    return case.name, f"{rate:,.0f}", faster, f"{cpu:,.1f}", cheaper


if __name__ == "__main__":
    main()
