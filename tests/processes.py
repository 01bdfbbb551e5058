"""Processes that tests started: whether they are gone, and ending them with all that they started."""

import subprocess
from collections.abc import Iterable
from contextlib import suppress

import psutil

from tests.waiting import eventually


def gone(processes: Iterable[psutil.Process]) -> bool:
    """Whether none of them runs; one that ended and waits to be reaped by init counts as gone."""
    return not any(_runs(process) for process in processes)


def end_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with everything below it; returns when nothing of it holds a file, a lock or a port any more."""
    below: list[psutil.Process] = []
    if process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    process.wait()
    for each in below:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    eventually(lambda: gone(below))


def _runs(process: psutil.Process) -> bool:
    """Whether a process has threads that run: of a program that dies the first one may be over before the others."""
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False
