"""The files API: a big file up and down, against nginx.

    apt-get install nginx-light
    python -m bench.files [--mib 1024] [--rounds 5]

One process each, in turns, the same disk and the same client, which sends by sendfile and throws away what it reads;
nginx takes files by its WebDAV module and gives them by sendfile. The ratios are medians of the rounds' own ratios.
While our process moves a file, another client asks for /healthz all the time: the last rows show how long that takes,
and how much the process has grown.
"""

import argparse
import os
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import psutil

from bench._servers import cpu_s, free_port, ours, serving
from bench._table import print_table
from workplatform import embedded
from workplatform.settings import load

_BUFFER_BYTES = 256 * 1024
_NGINX = """
worker_processes 1; daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on; client_max_body_size 0;
  client_body_temp_path {folder}/temp;
  server {{
    listen 127.0.0.1:{port}; root {folder}/root;
    location / {{ dav_methods PUT DELETE; create_full_put_path on; }}
  }}
}}
"""


@dataclass
class Server:
    """One of the two, and what it needed: bytes per second and CPU seconds, up and down."""

    name: str
    port: int
    path: str
    pid: int
    up: list[float] = field(default_factory=list)
    down: list[float] = field(default_factory=list)
    cpu_up: list[float] = field(default_factory=list)
    cpu_down: list[float] = field(default_factory=list)

    def visit(self, file: Path) -> None:
        """Send the file and fetch it again."""
        size = file.stat().st_size
        for moved, rates, spent in ((_sent, self.up, self.cpu_up), (_fetched, self.down, self.cpu_down)):
            before, start = cpu_s(self.pid), time.perf_counter()
            if moved(self.port, self.path, file) != size:
                sys.exit(f"{self.name} moved another number of bytes")
            rates.append(size / (time.perf_counter() - start))
            spent.append((cpu_s(self.pid) - before) * 2**30 / size)


@dataclass
class Bystander:
    """Asks our process for something small all the time, and watches how large it grows."""

    port: int
    pid: int
    waits_s: list[float] = field(default_factory=list)
    rss_bytes: list[int] = field(default_factory=list)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask for the length of a `with` block."""
        over = threading.Event()
        thread = threading.Thread(target=self._ask, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _ask(self, over: threading.Event) -> None:
        worker = psutil.Process(self.pid).children()[0]
        connection = HTTPConnection("127.0.0.1", self.port)
        while not over.wait(0.005):
            start = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            self.waits_s.append(time.perf_counter() - start)
            self.rss_bytes.append(worker.memory_info().rss)
        connection.close()


def main() -> None:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        sys.exit("missing: nginx (apt-get install nginx-light)")
    with tempfile.TemporaryDirectory(prefix="bench-files-") as name, ExitStack() as stack:
        folder = Path(name)
        file = _some_file(folder / "file.bin", options.mib << 20)
        own = _start_ours(stack, folder)
        rival = _start_nginx(stack, folder, program)
        bystander = Bystander(own.port, own.pid)
        for _ in range(options.rounds):
            with bystander.asking():
                own.visit(file)
            rival.visit(file)
        _show(own, rival, bystander, file.stat().st_size)


def _some_file(path: Path, size: int) -> Path:
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(block)
    return path


def _start_ours(stack: ExitStack, folder: Path) -> Server:
    os.environ.update({"DATA_DIR": f"{folder}/data", "LOG_LEVEL": "warning"})
    stack.enter_context(embedded.running(load().settings))
    port = free_port()
    return Server("ours", port, "/api/files/file.bin", stack.enter_context(serving(ours(), port, {})).pid)


def _start_nginx(stack: ExitStack, folder: Path, program: str) -> Server:
    port, own = free_port(), folder / "nginx"
    (own / "root").mkdir(parents=True)
    own.chmod(0o755)
    (own / "nginx.conf").write_text(_NGINX.format(folder=own, port=port))
    command = [program, "-p", str(own), "-c", str(own / "nginx.conf"), "-e", str(own / "error.log")]
    return Server("nginx", port, "/file.bin", stack.enter_context(serving(command, port, {})).pid)


def _sent(port: int, path: str, file: Path) -> int:
    size = file.stat().st_size
    with socket.create_connection(("127.0.0.1", port)) as sock, file.open("rb") as content:
        sock.sendall(f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode())
        moved = sock.sendfile(content)
        if sock.recv(_BUFFER_BYTES)[9:12] not in (b"200", b"201", b"204"):
            sys.exit(f"{path} was refused")
    return moved


def _fetched(port: int, path: str, _file: Path) -> int:
    buffer = bytearray(_BUFFER_BYTES)
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        moved = sock.recv_into(buffer)
        moved -= buffer.index(b"\r\n\r\n") + 4
        while count := sock.recv_into(buffer):
            moved += count
    return moved


def _show(own: Server, rival: Server, bystander: Bystander, size: int) -> None:
    rows: list[Sequence[str]] = []
    for what, mine, its, cpu, its_cpu in (
        ("up", own.up, rival.up, own.cpu_up, rival.cpu_up),
        ("down", own.down, rival.down, own.cpu_down, rival.cpu_down),
    ):
        ratio = statistics.median(a / b for a, b in zip(mine, its, strict=True))
        rows.append((f"{what}, ours", _mb(mine), f"{ratio:.2f}", f"{statistics.median(cpu):.2f}"))
        rows.append((f"{what}, nginx", _mb(its), "1.00", f"{statistics.median(its_cpu):.2f}"))
    print_table((f"{size >> 20} MiB", "MB/s", "x nginx", "server CPU s/GiB"), rows)
    waits = sorted(bystander.waits_s)
    print(
        f"\n/healthz meanwhile: median {1e3 * statistics.median(waits):.1f} ms, "
        f"99 of 100 within {1e3 * waits[len(waits) * 99 // 100]:.1f} ms, longest {1e3 * waits[-1]:.1f} ms"
        f"\nmemory: {bystander.rss_bytes[0] / 1e6:.1f} MB before, {max(bystander.rss_bytes) / 1e6:.1f} MB at most"
    )


def _mb(rates: Sequence[float]) -> str:
    return f"{statistics.median(rates) / 1e6:,.0f}"


if __name__ == "__main__":
    main()
