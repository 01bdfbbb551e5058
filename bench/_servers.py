"""Servers to compare: started on free ports, asked until they answer, and stopped."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

RIVALS = Path(__file__).parent / "rivals"
_PATIENCE_S = 60.0


def free_port() -> int:
    """Return a port that nobody uses right now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def cpu_s(pid: int) -> float:
    """Return the CPU time in seconds that a server and its children have used."""
    server = psutil.Process(pid)
    return sum(sum(process.cpu_times()[:2]) for process in (server, *server.children(recursive=True)))


def ours() -> list[str]:
    """Return the command line of our API."""
    return [sys.executable, "-m", "api"]


def gunicorn(application: str, port: int, *options: str) -> list[str]:
    """Return the command line of a Flask application of the rivals, in one process."""
    return [
        *(sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "-w", "1", "--no-control-socket"),
        *("--log-level", "critical", *options, f"bench.rivals.{application}"),
    ]


@contextmanager
def serving(command: Sequence[str], port: int, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the length of a `with` block, once it accepts connections."""
    process = subprocess.Popen(command, env={**os.environ, **env, "PORT": str(port)}, stdout=subprocess.DEVNULL)
    try:
        _wait(process, port)
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to end; flask-sse with many clients does not."""
    everyone = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    process.terminate()
    for left in psutil.wait_procs(everyone, timeout=5)[1]:
        left.kill()
    process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"{process.args!r} does not serve port {port}")
