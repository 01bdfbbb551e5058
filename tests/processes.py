"""Processes that tests started: whether they are gone, and ending them with all that they started."""

import subprocess
from collections.abc import Iterable
from contextlib import suppress

import psutil

from tests.waiting import eventually


def gone(processes: Iterable[psutil.Process]) -> bool:
    """Whether none of them runs; one that ended and waits to be reaped by init counts as gone."""
    return not any(_runs(process) for process in processes)


def below(*pids: int, name: str = "") -> list[psutil.Process]:
    """Return what runs below processes, of one name if it is given."""
    family = [child for pid in pids for child in psutil.Process(pid).children(recursive=True)]
    return [child for child in family if not name or _is_named(child, name)]


def end_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with everything below it; returns when nothing of it holds a file, a lock or a port any more."""
    family: list[psutil.Process] = []
    if process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            family = below(process.pid)
        process.kill()
    process.wait()
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    eventually(lambda: gone(family))


def _is_named(process: psutil.Process, name: str) -> bool:
    try:
        return process.name() == name
    except psutil.NoSuchProcess:
        return False


def _runs(process: psutil.Process) -> bool:
    """Whether a process has threads that run: of a program that dies the first one may be over before the others."""
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False
