"""Child processes: forked, cut off from the terminal, and never outliving their parent."""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_CRASHED = 70  # EX_SOFTWARE of sysexits.h
_NOT_FOUND = 127  # what a shell says
_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)

Start = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Child:
    """A running child: its process id, which is also its group's, and the read end of its output."""

    pid: int
    output: int


def spawn(start: Start, *, forget: Iterable[int] = ()) -> Child:
    """Fork a child that runs `start` and exits with what it returns.

    The child has its own session, so Ctrl-C in the terminal does not reach it, ignores SIGINT, gets SIGTERM when this
    process dies, and writes both output streams to a pipe. `forget` are descriptors that it must not keep. The caller
    must have a single thread: a lock held by another one would stay locked in the child for ever.
    """
    reader, writer = os.pipe()
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    # a signal that arrives between fork and the child's own handlers would run ours in the child
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    try:
        pid = os.fork()
        if pid == 0:
            _live(start, parent, writer, (reader, *forget))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(writer)
    os.set_blocking(reader, False)
    return Child(pid, reader)


def program(command: Sequence[str], *, keep: Iterable[int] = (), env: Mapping[str, str] | None = None) -> Start:
    """Return a start for `spawn` that becomes another program; it inherits only the descriptors in `keep`."""
    return partial(_become, tuple(command), tuple(keep), dict(os.environ if env is None else env))


def end_with_parent(parent: int | None = None) -> Callable[[], None]:
    """Return a function for the child's side of a fork: from then on it gets SIGTERM when its parent dies.

    Linux only; elsewhere the child has to notice by itself.
    """
    return partial(_end_with, os.getpid() if parent is None else parent)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal every process of the group, if there is any left."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:  # macOS says so of a group of zombies
        return


def write_to_descriptors() -> None:
    """Write to the standard descriptors: the maker's streams may have gone elsewhere, to what is closed by now."""
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


def _live(start: Start, parent: int, writer: int, forget: tuple[int, ...]) -> NoReturn:
    """Be the child. Leaves by _exit: the parent's exit handlers and buffers are not the child's to run."""
    code = _CRASHED
    try:
        os.setsid()
        _end_with(parent)
        _own_signals()
        _own_streams(writer)
        for fd in forget:
            os.close(fd)
        code = start()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - the edge of the process: nobody above could report it
        traceback.print_exc()
    finally:
        _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process whatever happens: above this frame lies the parent's own tidying up, of things still in use."""
    try:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # nobody reads the pipe any more
                stream.flush()
    finally:
        os._exit(code)


def _become(command: tuple[str, ...], keep: tuple[int, ...], env: dict[str, str]) -> int:
    for fd in keep:
        os.set_inheritable(fd, True)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and an ignored signal stays so over exec
    try:
        os.execve(command[0], command, env)  # noqa: S606 - no shell wanted
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
    return _NOT_FOUND


def _end_with(parent: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew our wish
        os._exit(0)


def _own_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)


def _own_streams(writer: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    os.close(null)
    os.close(writer)
    write_to_descriptors()
