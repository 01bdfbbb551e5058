"""The event stream: deliveries per second to many clients of one process, against flask-sse as it is.

    python -m bench.sse [--clients 500] [--rounds 3]

Both run under gunicorn's gevent worker on the same embedded server and get bursts of events of the same size. A round
measures until every client has every event; ratios are medians of the rounds' own ratios. flask-sse opens a Redis
connection for each client, ours one.
"""

import argparse
import os
import select
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import orjson
import psutil
import redis

from bench._servers import cpu_s, free_port, gunicorn, ours, serving
from bench._table import print_table
from workplatform import embedded
from workplatform.bootstrap import Platform, build
from workplatform.settings import load

BURST = 4
_BURSTS = 50
_MARK = b"{"  # one an event, and a single byte cannot be torn apart by a packet's end
_PATIENCE_S = 60.0
_JOB = {"type": "thumbnail", "payload": {"videoPath": "/data/videos/0123456789.mp4", "outputPath": "/data/a.webp"}}


@dataclass(frozen=True)
class Figure:
    """What one round measured."""

    deliveries_per_s: float
    cpu_us: float


class Crowd:
    """Many clients of one server, in one thread: they only count."""

    def __init__(self, port: int, size: int) -> None:
        self.size = size
        self._port = port
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._buffer = bytearray(1 << 20)
        for _ in range(size):
            client = socket.create_connection(("127.0.0.1", port), timeout=30)
            client.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self._sockets[client.fileno()] = client
            self._poll.register(client, select.EPOLLIN)

    def hear(self, events: int) -> None:
        """Read until every client has heard so many more events."""
        wanted, deadline = events * self.size, time.monotonic() + _PATIENCE_S
        while wanted > 0:
            for descriptor, _ in self._poll.poll(1.0):
                count = self._sockets[descriptor].recv_into(self._buffer)
                if not count:
                    sys.exit("a server hung up on a client")
                wanted -= self._buffer.count(_MARK, 0, count)
            if time.monotonic() > deadline:
                sys.exit(f"{wanted} of {events * self.size} deliveries to port {self._port} are missing")

    def settle(self) -> None:
        """Read what comes until nothing has come for a second."""
        while ready := self._poll.poll(1.0):
            for descriptor, _ in ready:
                self._sockets[descriptor].recv_into(self._buffer)

    def close(self) -> None:
        """Hang up."""
        for client in self._sockets.values():
            client.close()
        self._poll.close()


class Rival:
    """flask-sse: events are published to a channel."""

    name = "flask-sse, gevent"

    def __init__(self, address: str) -> None:
        self._client = redis.Redis.from_url(address)
        told = {"event": "job:queued", "jobId": "job_01M80FCT5CE47V085278KPHGS3", "type": "thumbnail"}
        data = {**told, "status": "queued", "progress": 0, "message": None, "stage": None}
        self._message = orjson.dumps({"data": orjson.dumps(data).decode(), "id": "1795312478381-0"})

    def burst(self) -> None:
        """Make events."""
        pipeline = self._client.pipeline(transaction=False)
        for _ in range(BURST):
            pipeline.publish("sse", self._message)
        pipeline.execute()


class Ours:
    """The platform: events come with jobs."""

    name = "ours"

    def __init__(self, platform: Platform) -> None:
        self._service = platform.service

    def burst(self) -> None:
        """Make events."""
        self._service.create([self._service.prepare(_JOB) for _ in range(BURST)])


def main() -> None:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        os.environ.update({"DATA_DIR": f"{folder}/data", "LOG_LEVEL": "warning"})
        address = stack.enter_context(embedded.running(load().settings))
        env = {"BENCH_REDIS": f"{address}?max_connections=5000"}  # with its default pool flask-sse fails at client 101
        our_port, rival_port = free_port(), free_port()
        our_pid = stack.enter_context(serving(ours(), our_port, env)).pid
        stock = gunicorn("flask_sse_app:app", rival_port, "-k", "gevent", "--worker-connections", "5000")
        rival_pid = stack.enter_context(serving(stock, rival_port, env)).pid
        pairs: tuple[tuple[Ours | Rival, Crowd, int], ...] = (
            (Ours(build(load().settings)), Crowd(our_port, options.clients), our_pid),
            (Rival(address), Crowd(rival_port, options.clients), rival_pid),
        )
        figures: list[list[Figure]] = [[], []]
        for _ in range(options.rounds):
            for (source, crowd, pid), found in zip(pairs, figures, strict=True):
                crowd.settle()
                found.append(_measure(source, crowd, pid))
        _show([source.name for source, _, _ in pairs], figures, _subscriptions(address), [our_pid, rival_pid])
        for _, crowd, _ in pairs:
            crowd.close()


def _measure(source: Ours | Rival, crowd: Crowd, pid: int) -> Figure:
    before, began = cpu_s(pid), time.perf_counter()
    for _ in range(_BURSTS):
        source.burst()
        crowd.hear(BURST)
    deliveries = _BURSTS * BURST * crowd.size
    took, spent = time.perf_counter() - began, cpu_s(pid) - before
    return Figure(deliveries / took, 1e6 * spent / deliveries)


def _subscriptions(address: str) -> Sequence[int]:
    """Return how many connections wait for events: blocked on the stream, subscribed to the channel."""
    clients = redis.Redis.from_url(address).client_list()
    return sum("b" in client["flags"] for client in clients), sum(int(client["sub"]) for client in clients)


def _show(
    names: Sequence[str], figures: Sequence[Sequence[Figure]], subscriptions: Sequence[int], pids: Sequence[int]
) -> None:
    own, rival = figures
    faster = statistics.median(a.deliveries_per_s / b.deliveries_per_s for a, b in zip(own, rival, strict=True))
    rows = []
    for name, found, ratio, open_, pid in zip(names, figures, (faster, 1.0), subscriptions, pids, strict=True):
        rate = statistics.median(figure.deliveries_per_s for figure in found)
        cpu = statistics.median(figure.cpu_us for figure in found)
        megabytes = sum(part.memory_full_info().pss for part in psutil.Process(pid).children()) / 1e6
        rows.append((name, f"{rate:,.0f}", f"{ratio:.1f}", f"{cpu:.1f}", str(open_), f"{megabytes:.0f}"))
    print_table(("case", "deliveries/s", "x rival", "CPU us each", "Redis subscriptions", "worker PSS MB"), rows)


if __name__ == "__main__":
    main()
