"""Roles forked from a process that has imported the platform already.

The tests start hundreds. Importing everything takes each longer than what most of them are started for.
"""

import importlib
import multiprocessing
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import workers

_IMPORTED: Final = (
    "celery.apps.worker",
    "celery.concurrency.thread",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer.delayed_delivery",
    "tests.integration.forked",
    "tests.jobs",
    *(f"workers.{module.name}" for module in pkgutil.iter_modules(workers.__path__)),
    "workplatform.cli.roles",
    "workplatform.scheduler",
    "workplatform.worker",
)
_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(list(_IMPORTED))


class Forked:
    """A role in a process and a session of its own, to be used like a subprocess.Popen."""

    def __init__(self, words: Sequence[str], *, folder: Path, environ: Mapping[str, str], log: Path) -> None:
        self._process = _FORKS.Process(target=_be, args=(list(words), folder, dict(environ), log), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal, if it has ended."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code if it has ended."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises TimeoutExpired."""
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired("role", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it without any chance to say goodbye."""
        self.send_signal(signal.SIGKILL)


def _be(words: list[str], folder: Path, environ: dict[str, str], log: Path) -> None:
    """Become what `python -m workplatform WORDS` would have been."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    with Path(os.devnull).open() as nothing, log.open("ab") as lines:
        os.dup2(nothing.fileno(), 0)
        os.dup2(lines.fileno(), 1)
        os.dup2(lines.fileno(), 2)
    sys.argv = ["workplatform", *words]
    main: Any = importlib.import_module("workplatform.cli").main
    main()
