"""Callbacks: signatures by both official verifiers through a rotation, and a burst for one slow receiver.

    (cd bench/rivals && npm install)
    python -m bench.webhooks [--callbacks 1000] [--latency-ms 50]

Workers deliver real callbacks to a receiver on loopback. Those made while the old secret, then both, then the new one
are set have to be accepted by the receivers that know the right one, in Python and in JavaScript, and by no other. The
burst is compared with eight threads of `requests` that post the same bodies to the same receiver, storing nothing.
"""

import argparse
import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
from standardwebhooks import Webhook, WebhookVerificationError

from bench._servers import RIVALS
from bench._table import print_table
from workplatform import embedded
from workplatform.bootstrap import Platform, build
from workplatform.settings import load

_QUEUES = ("noop", "http")
_EACH = 20
_AT_ONCE = 8
_PATIENCE_S = 600.0


@dataclass
class Receiver:
    """A receiver that takes its time: what came, and how many requests it had at once."""

    latency_s: float = 0.0
    requests: list[dict[str, Any]] = field(default_factory=list)
    most: int = 0
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, headers: dict[str, str], body: bytes) -> None:
        """Note a request after its time."""
        with self._lock:
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        time.sleep(self.latency_s)
        with self._lock:
            self._under_way -= 1
            self.requests.append({"headers": headers, "body": body.decode()})


def main() -> None:
    """Run the bench and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callbacks", type=int, default=1000)
    parser.add_argument("--latency-ms", type=float, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.update(_environment(folder))
        settings = load().settings
        with embedded.running(settings), _roles(), _receiving() as (url, receiver):
            platform = build(settings)
            _rotate(platform, url, receiver, folder / "secrets" / "webhooks" / "shop")
            print()
            receiver.latency_s = options.latency_ms / 1000
            _burst(platform, url, receiver, options.callbacks)


def _environment(folder: Path) -> dict[str, str]:
    (folder / "secrets" / "webhooks").mkdir(parents=True)
    return {
        "DATA_DIR": str(folder / "data"),
        "ALLOWED_ROOTS": str(folder),
        "SECRETS_DIR": str(folder / "secrets"),
        "JOB_PACKAGES": "workers,bench.noop_jobs",
        "LOG_LEVEL": "warning",
    }


@contextmanager
def _roles() -> Iterator[None]:
    commands = [*(["worker", queue] for queue in _QUEUES), ["scheduler"]]
    started = [subprocess.Popen([sys.executable, "-m", "workplatform", *words]) for words in commands]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


@contextmanager
def _receiving() -> Iterator[tuple[str, Receiver]]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", receiver
    finally:
        server.shutdown()


def _rotate(platform: Platform, url: str, receiver: Receiver, secret: Path) -> None:
    """Deliver while the old secret, both, and the new one are set, and have everybody verify."""
    old, new, other = (f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}" for _ in range(3))
    rows = []
    for stage, text in (("before", old), ("during", f"{new}\n{old}"), ("after", new)):
        secret.write_text(text)
        receiver.requests.clear()
        _deliver(platform, {"url": url, "secretName": "shop"}, receiver, _EACH)
        cells = (
            f"{_by_python(known, receiver.requests)} / {_by_javascript(known, receiver.requests)}"
            for known in (old, new, other)
        )
        rows.append([stage, str(len(receiver.requests)), *cells])
    head = ("rotation", "callbacks", "old secret (py / js)", "new secret (py / js)", "another (py / js)")
    print_table(head, rows)


def _by_python(secret: str, sent: Sequence[dict[str, Any]]) -> int:
    accepted = 0
    for request in sent:
        try:
            Webhook(secret).verify(request["body"], request["headers"])
        except WebhookVerificationError:
            continue
        accepted += 1
    return accepted


def _by_javascript(secret: str, sent: Sequence[dict[str, Any]]) -> int:
    asked = json.dumps({"secret": secret, "requests": sent})
    answer = subprocess.run(
        ["node", str(RIVALS / "verify_webhooks.js")], input=asked, capture_output=True, text=True, check=True
    )
    return int(answer.stdout)


def _deliver(platform: Platform, callback: Any, receiver: Receiver, number: int) -> float:
    """Run so many jobs; returns the seconds until their callbacks have arrived and are settled."""
    jobs = [platform.service.prepare({"type": "noop", "payload": {}, "callback": callback}) for _ in range(number)]
    started = time.monotonic()
    platform.service.create(jobs)
    _wait(lambda: len(receiver.requests) >= number)
    took_s = time.monotonic() - started
    _wait(lambda: not any(platform.service.stats()["jobs"][status] for status in ("queued", "running", "scheduled")))
    return took_s


def _burst(platform: Platform, url: str, receiver: Receiver, number: int) -> None:
    """Have many callbacks made at once for a slow receiver, and post as many by a pool of threads."""
    receiver.requests.clear()
    receiver.most = 0
    ours_s = _deliver(platform, url, receiver, number)
    ours, most = list(receiver.requests), receiver.most
    used = _retries(platform)
    receiver.requests.clear()
    receiver.most = 0
    started = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for request in ours[:number]:
            pool.submit(requests.post, url, data=request["body"], timeout=15)
    rival_s = time.monotonic() - started
    repeated = len(ours) - len({json.loads(request["body"])["jobId"] for request in ours})
    rows = [
        ["ours", str(len(ours)), str(repeated), str(used), str(most), f"{ours_s:.1f}", f"{ours_s / rival_s:.2f}"],
        ["eight threads of requests", str(len(receiver.requests)), "", "", str(receiver.most), f"{rival_s:.1f}", "1"],
    ]
    print_table(("burst", "arrived", "twice", "retries used", "most at once", "seconds", "ratio"), rows)


def _retries(platform: Platform) -> int:
    """Return how many retries all deliveries together have used up."""
    used, cursor = 0, ""
    while True:
        page = platform.service.list(job_type="http", limit=200, cursor=cursor)
        used += sum(job["retries"] for job in page.jobs)
        cursor = page.next_cursor or ""
        if not cursor:
            return used


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("the callbacks did not arrive in time")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
