"""The nursery: a process with everything imported that forks the children of this one.

A process with a single thread forks its nursery, which shares its memory; one with more cannot be forked safely, so
its nursery is a fresh interpreter. The nursery ends when its maker has, and the last of the children.
"""

import atexit
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Final, NoReturn

from workplatform.child import serve
from workplatform.errors import ChildCrashedError
from workplatform.processes import write_to_descriptors

_NUMBER: Final = struct.Struct("i")
_UNKNOWN: Final = 255  # how a child ended whose nursery went with it
_FRESH: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from workplatform.nursery import main; main()"


class Nurseling:
    """A child as its maker sees it: its process id, the pipe to it, and how it ended (`exitcode`, -N for signal N)."""

    def __init__(self, connection: Connection, report: int, lifeline: int) -> None:
        self.connection = connection
        self._report = report
        self._lifeline = lifeline
        self.exitcode: int | None = None
        pid = self._next_number()
        if pid is None:
            self.close()
            raise ChildCrashedError("no process could be started for the work")
        self.pid: Final = pid

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end, at most `timeout` seconds; returns whether it has ended."""
        if self.exitcode is not None:
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self._report, selectors.EVENT_READ)
            if not selector.select(timeout):
                return False
        status = self._next_number()
        self.exitcode = _UNKNOWN if status is None else os.waitstatus_to_exitcode(status)
        return True

    def close(self) -> None:
        """Close the pipe to it, by which an idle child ends."""
        self.connection.close()
        os.close(self._report)
        os.close(self._lifeline)

    def _next_number(self) -> int | None:
        word = os.read(self._report, _NUMBER.size)
        return int(_NUMBER.unpack(word)[0]) if word else None


class Nursery:
    """This process's end of its nursery. Thread-safe."""

    def __init__(self, preload: Sequence[str]) -> None:
        self._preload = tuple(preload)
        self._lock = threading.Lock()
        self._pid = 0
        self._orders = self._forked() if threading.active_count() == 1 else None

    def bear(self) -> Nurseling:
        """Return a new child that serves what comes by its pipe; raises ChildCrashedError if none can be made."""
        ours, theirs = Pipe()
        report, reporter = os.pipe()
        lifeline, held = os.pipe()
        try:
            with self._lock:
                self._order(theirs.fileno(), reporter, lifeline)
        finally:
            theirs.close()
            os.close(reporter)
            os.close(lifeline)
        return Nurseling(ours, report, held)

    def close(self) -> None:
        """Let it end once its children have."""
        if self._orders is not None:
            self._orders.close()

    def _order(self, *fds: int) -> None:
        if self._orders is not None:
            try:
                socket.send_fds(self._orders, [b"+"], fds)
            except (BrokenPipeError, ConnectionResetError):  # it was killed
                self._orders.close()
                self._orders = None
                os.waitpid(self._pid, 0)
            else:
                return
        self._orders = self._fresh()
        socket.send_fds(self._orders, [b"+"], fds)

    def _forked(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            _forget_all_but(theirs.fileno())
            write_to_descriptors()
            _be_nursery(theirs, self._preload)
        theirs.close()
        return ours

    def _fresh(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        words = [sys.executable, "-c", _FRESH, json.dumps(sys.path), *self._preload]
        orders = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)]
        self._pid = os.posix_spawn(sys.executable, words, os.environ, file_actions=orders)
        theirs.close()
        return ours


@cache
def nursery_of(_pid: int, preload: tuple[str, ...]) -> Nursery:
    """Return the nursery of this process, with the modules `preload` imported."""
    nursery = Nursery(preload)
    atexit.register(nursery.close)
    return nursery


def main() -> NoReturn:
    """Be the nursery of the process at the other end of standard input."""
    orders = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    _be_nursery(orders, sys.argv[2:])


def _forget_all_but(kept: int) -> None:
    """Close what the maker had open: sockets and files have to end when it closes them."""
    for entry in list(Path("/dev/fd").iterdir()):
        fd = int(entry.name)
        if fd > 2 and fd != kept:
            with suppress(OSError):  # the listing's own
                os.close(fd)


def _be_nursery(orders: socket.socket, preload: Sequence[str]) -> NoReturn:
    """Fork children as ordered. Leaves by _exit: the maker's exit handlers are not this process's to run."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        # The maker decides when it ends: by closing its end of the socket.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for module in preload:
            importlib.import_module(module)
        gc.freeze()
        _Ward(orders).run()
        code = 0
    except BaseException:  # noqa: BLE001 - the edge of the process: nobody above could report it
        traceback.print_exc()
    finally:
        os._exit(code)


class _Ward:
    """The nursery's own side: its children, and where the end of each is reported."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._reporters: dict[int, int] = {}
        self._wake_reader, self._wake_writer = os.pipe()
        for end in (self._wake_reader, self._wake_writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # wakes the loop up, no more

    def run(self) -> None:
        """Fork until the maker has gone, then wait for the children."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._orders, selectors.EVENT_READ)
            selector.register(self._wake_reader, selectors.EVENT_READ)
            is_wanted = True
            while is_wanted or self._reporters:
                for key, _ in selector.select():
                    if key.fileobj is not self._orders:
                        os.read(self._wake_reader, 4096)
                    elif is_wanted and not self._obey():
                        selector.unregister(self._orders)
                        is_wanted = False
                self._report_ends()

    def _obey(self) -> bool:
        """Fork one child; returns False if there is nobody any more to fork for."""
        word, fds, _, _ = socket.recv_fds(self._orders, 1, 3)
        if not word:
            return False
        connection, reporter, lifeline = fds
        with suppress(OSError):  # no process to be had: the closed report says so
            pid = os.fork()
            if pid == 0:
                self._be_child(connection, reporter, lifeline)
            os.write(reporter, _NUMBER.pack(pid))
            self._reporters[pid] = os.dup(reporter)
        for fd in fds:
            os.close(fd)
        return True

    def _report_ends(self) -> None:
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = found
                reporter = self._reporters.pop(pid)
                with suppress(BrokenPipeError):  # nobody waits for it
                    os.write(reporter, _NUMBER.pack(status))
                os.close(reporter)

    def _be_child(self, connection: int, reporter: int, lifeline: int) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for fd in (reporter, self._wake_reader, self._wake_writer, *self._reporters.values()):
                os.close(fd)
            self._orders.close()
            serve(Connection(connection), lifeline)
            code = 0
        except BaseException:  # noqa: BLE001 - the edge of the process: nobody above could report it
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
