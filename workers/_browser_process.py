"""One browser with its driver, as a worker holds it: started once, asked by many threads, ended with certainty.

The driver kills the browser and removes its profile when its standard input closes, so nothing of them outlives this
process, however it ends.
"""

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import psutil

from workers._browser_driver.orders import Order, Told
from workplatform import browsing
from workplatform.errors import BrowserError, BrowserMissingError

_PACKAGE: Final = "_browser_driver"
_START: Final = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_module(sys.argv.pop(1), run_name='__main__')"
)
_KEPT_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
_LOOK_S: Final = 0.1
_START_S: Final = 40.0
_END_S: Final = 10.0

_GONE: Final = {"gone": True}


class BrowserGoneError(BrowserError):
    """The browser died during the visit."""


class BrowserProcess:
    """A running browser; thread-safe. `folder` is where its profile goes.

    It ends by itself after `idle_s` seconds without a visit. Raises BrowserMissingError if there is no Chromium or
    nothing to drive it with.
    """

    def __init__(self, folder: Path, *, idle_s: float) -> None:
        self._answers: dict[str, queue.SimpleQueue[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._greeting: dict[str, Any] = {}
        self._has_greeted = threading.Event()
        self._is_gone = False
        browsing.sweep_profiles(folder)
        self._process = subprocess.Popen(
            _command(folder, idle_s),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
            start_new_session=True,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name="browser", daemon=True)
        self._reader.start()

    def wait_until_ready(self, check: Callable[[], None]) -> None:
        """Wait until the browser takes orders; `check` is asked ten times a second and may raise.

        Raises BrowserError, or BrowserMissingError for a driver without pyppeteer.
        """
        deadline = time.monotonic() + _START_S
        while not self._has_greeted.wait(_LOOK_S):
            check()
            if time.monotonic() > deadline:
                raise BrowserError("Chromium does not start")
        if "missing" in self._greeting:
            raise BrowserMissingError(f"pyppeteer is missing ({self._greeting['missing']}): run `{browsing.INSTALL}`")
        if "ready" not in self._greeting:
            raise BrowserError(f"Chromium did not start: {self._greeting.get('broken', 'its driver ended')}")

    def visit(self, order: Order, check: Callable[[], None]) -> Told:
        """Make a visit; what `check` raises ends it, and its page, at once.

        Raises BrowserGoneError if the browser has ended, BrowserError if it does not answer.
        """
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        with self._lock:
            self._answers[order.id] = answers
        try:
            self._send(asdict(order))
            said = self._await(answers, check, within_s=2 * order.waits.limit_s + _END_S)
        except BaseException:
            self._send({"close": order.id})
            raise
        finally:
            with self._lock:
                del self._answers[order.id]
        if "gone" in said:
            raise BrowserGoneError
        return Told(**said)

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self._is_gone

    @property
    def pid(self) -> int:
        """The driver's process id; the browser's processes are below it."""
        return self._process.pid

    def memory_bytes(self) -> int:
        """Return what its processes hold, pages that they share counted once."""
        try:
            processes = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return 0
        return sum(map(_memory_bytes, processes))

    def close(self) -> None:
        """End it, and wait until nothing of it is left."""
        with self._lock, suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # the browser dies with it, and the next driver removes the profile
        self._reader.join()

    @property
    def _stdin(self) -> Any:
        return self._process.stdin

    @property
    def _stdout(self) -> Any:
        return self._process.stdout

    def _send(self, what: dict[str, Any]) -> None:
        with self._lock, suppress(OSError, ValueError):  # that it is gone, the reader tells
            self._stdin.write(json.dumps(what) + "\n")
            self._stdin.flush()

    def _await(
        self, answers: "queue.SimpleQueue[dict[str, Any]]", check: Callable[[], None], *, within_s: float
    ) -> dict[str, Any]:
        if self._is_gone:  # it went before it could tell these answers
            answers.put(_GONE)
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            check()
            with suppress(queue.Empty):
                return answers.get(timeout=_LOOK_S)
        raise BrowserError("the browser does not answer")

    def _read(self) -> None:
        """Hand out what the driver says, until it has ended."""
        for line in self._stdout:
            said = json.loads(line)
            if not self._has_greeted.is_set():
                self._greeting = said
                self._has_greeted.set()
                continue
            with self._lock:
                if answers := self._answers.get(said["id"]):
                    answers.put(said)
        self._is_gone = True
        self._has_greeted.set()
        with self._lock:
            for answers in self._answers.values():
                answers.put(_GONE)
        self._process.wait()
        self._stdout.close()
        with self._lock, suppress(OSError):  # what was not sent is for nobody
            self._stdin.close()


def _command(folder: Path, idle_s: float) -> list[str]:
    """Return the driver's command; with -P nothing beside it takes the place of a module of the standard library."""
    package = str(Path(__file__).parent)
    return [browsing.python(), "-P", "-c", _START, package, _PACKAGE, browsing.program(), str(folder), str(idle_s)]


def _memory_bytes(process: psutil.Process) -> int:
    try:
        used = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return int(getattr(used, "pss", 0) or used.uss)
