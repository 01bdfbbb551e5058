"""A program for the supervisor's tests: the real embedded server and supervisor, with roles that stand in."""

import os
import signal
import subprocess
import sys
import threading
from functools import partial

import structlog

from workplatform import embedded, logs, processes, runlock
from workplatform.linelog import LineLog, LineStream
from workplatform.settings import load
from workplatform.supervisor import Role, Supervisor

log = structlog.get_logger()


def say(line: str) -> None:
    """Write a line as a role does."""
    sys.stdout.write(line + "\n")


def steady() -> int:
    """Wait for SIGTERM, say so, and end well."""
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: asked.set())
    say(f"steady at {os.getpid()}")
    while not asked.wait(0.05):
        pass
    say("steady drained")
    return 0


def stubborn() -> int:
    """Ignore SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(f"stubborn at {os.getpid()}")
    while True:
        signal.pause()


def crashing() -> int:
    """End with an error at once, within a line."""
    os.write(1, b"first line\nhalf a line")
    return 3


def raising() -> int:
    """End with an exception."""
    raise RuntimeError("broken on purpose")


def parent() -> int:
    """Have a child in the same group that would outlive this process."""
    child = subprocess.Popen(["/bin/sleep", "1000"])
    say(f"parent at {os.getpid()} of {child.pid}")
    return steady()


def main() -> None:
    """Run the roles named on the command line until a signal comes."""
    settings = load().settings
    lock = runlock.acquire(settings)
    lines = LineLog(sys.stdout, console=True)
    logs.configure(settings, "up", LineStream(lines, "up"))
    with Supervisor(lines, grace=settings.shutdown_grace) as supervisor:
        embedded.prepare(settings)
        server = processes.program(embedded.command(settings), keep=[lock.fd])
        supervisor.start(Role("server", server, is_foundation=True))
        supervisor.run(until=partial(embedded.is_ready, settings))
        for name in sys.argv[1:]:
            supervisor.start(Role(name, globals()[name]))
        log.info("ready")
        supervisor.run()
    embedded.tidy(settings)
    lock.release()


if __name__ == "__main__":
    main()
