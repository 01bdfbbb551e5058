"""The inside of a child process: serves calls and programs for one slot of a worker until it is closed or killed.

A child leads a session and process group of its own, so killing the group ends it with everything it started. It dies
when its worker has: at once while it runs a program, else when it next answers.
"""

import ctypes
import fcntl
import os
import select
import selectors
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from workplatform.errors import CommandFailedError, NoSpaceError, PlatformError
from workplatform.shortage import is_caused_by_lack_of_space

Stream = Literal["stdout", "stderr"]

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_TAIL: Final = 40
_CHUNK: Final = 65536
_LOOK_S: Final = 0.2
_GRACE_S: Final = 0.5
_LONGEST_LINE: Final = 8192


@dataclass(frozen=True, slots=True)
class Call:
    """Ask for a function's result."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """Ask for a program's run; its environment is exactly `env`."""

    words: Sequence[str]
    cwd: str | None
    env: Mapping[str, str]
    blank_lines: bool = False


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines that the program printed; what came at once is told at once."""

    stream: Stream
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Told:
    """What a generator function yielded on its way."""

    report: Any


@dataclass(frozen=True, slots=True)
class Returned:
    """What the function returned, or the program's exit code and the tail of its standard error."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """What the function raised: an error of ours, or the text of a foreign one."""

    error: PlatformError | None
    text: str
    trace: str


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended, and whether no process that it started lives on."""

    outcome: Returned | Raised
    is_alone: bool


def serve(connection: Connection, lifeline: int) -> None:
    """Answer requests until the other end closes.

    `lifeline` is a pipe to which nobody writes, and whose other end the worker alone has.
    """
    _settle_in()
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        outcome = _outcome(request, connection, lifeline)
        is_alone = _is_alone() and (_LIBC is not None or isinstance(request, Call))
        try:
            connection.send(Answer(outcome, is_alone))
        except (TypeError, AttributeError, ValueError) as error:
            text = f"the result cannot be sent: {error}"
            connection.send(Answer(Raised(None, text, traceback.format_exc()), is_alone))


def _outcome(request: Call | Command, connection: Connection, lifeline: int) -> Returned | Raised:
    try:
        return Returned(_perform(request, connection, lifeline))
    except Exception as error:  # noqa: BLE001 - the process edge: everything goes to the parent
        return _raised(error)


def _raised(error: Exception) -> Raised:
    """Say what was raised; what caused it does not cross the pipe, so lack of space is told apart here."""
    if is_caused_by_lack_of_space(error):
        return Raised(NoSpaceError(), NoSpaceError().message, "")
    if isinstance(error, PlatformError):
        return Raised(error, error.message, "")
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Raised(None, f"{type(error).__name__}: {text}", traceback.format_exc())


def _is_alone() -> bool:
    """Whether nothing is left below this process; on Linux it inherits the orphans of what it started."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies; nothing on systems without that."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _settle_in() -> None:
    os.setsid()
    die_with_parent()
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A program in the group gets the chance that SIGTERM gives; the child itself waits for its end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _perform(request: Call | Command, connection: Connection, lifeline: int) -> Any:
    if isinstance(request, Command):
        return _run(request, connection)
    with _not_outliving(lifeline):
        outcome = request.function(*request.args, **request.kwargs)
    return _followed(outcome, connection, lifeline) if isinstance(outcome, Generator) else outcome


def _followed(steps: Generator[Any, None, Any], connection: Connection, lifeline: int) -> Any:
    """Send on what a generator yields; return its result."""
    while True:
        try:
            with _not_outliving(lifeline):
                report = next(steps)
        except StopIteration as ended:
            return ended.value
        connection.send(Told(report))


@contextmanager
def _not_outliving(lifeline: int) -> Iterator[None]:
    """Have the kernel end this process, whatever it is doing, when the worker's end of the lifeline closes.

    The pipe tells of that by SIGIO, which nobody handles. Requests come by another one: the kernel may tell of what has
    been read already.
    """
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    try:
        if select.select([lifeline], [], [], 0)[0]:
            os._exit(1)  # it went before the pipe could tell
        yield
    finally:
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags)


def _run(command: Command, connection: Connection) -> tuple[int, tuple[str, ...]]:
    try:
        process = subprocess.Popen(
            command.words,
            cwd=command.cwd,
            env=dict(command.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_prepare_program,  # noqa: PLW1509 - this process has one thread
        )
    except OSError as error:
        raise CommandFailedError(f"cannot start {command.words[0]}: {error.strerror}") from error
    tail: list[str] = []
    for stream, texts in _lines(process, connection):
        told = [text for text in texts if command.blank_lines or text.strip()]
        if stream == "stderr":
            tail = [*tail, *told][-_TAIL:]
        if told:
            connection.send(Lines(stream, told))
    code = process.wait()
    _end_orphans()
    return code, tuple(tail)


def _end_orphans() -> None:
    """Kill what a program left behind, in sessions of its own too (Linux); the orphans of each come to this process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    with suppress(FileNotFoundError, ChildProcessError, PermissionError):
        while left := children.read_text("ascii").split():
            for pid in map(int, left):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _end_all(process: "subprocess.Popen[bytes]") -> NoReturn:
    """End this process and its group, as the worker would have done; the nursery lives as long as its children."""
    os.killpg(0, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _prepare_program() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    die_with_parent()


def _lines(process: "subprocess.Popen[bytes]", worker: Connection) -> Iterator[tuple[Stream, list[str]]]:
    """Yield the lines of both streams as they come, long ones in pieces.

    Carriage returns end lines too, as in progress displays.
    """
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - opened as pipes above
    rest: dict[str, bytes] = {"stdout": b"", "stderr": b""}
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, "stdout")
        selector.register(process.stderr, selectors.EVENT_READ, "stderr")
        selector.register(worker, selectors.EVENT_READ, "worker")
        while len(selector.get_map()) > 1:
            ready = selector.select(_LOOK_S)
            if not ready and process.poll() is not None:
                return  # something it left behind holds the pipes; the group is killed after us
            for key, _ in ready:
                if key.data == "worker":  # it asks nothing while a program runs: it is gone
                    _end_all(process)
                data = os.read(key.fd, _CHUNK)
                if not data:
                    selector.unregister(key.fileobj)
                text = (rest[key.data] + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                *complete, rest[key.data] = text.split(b"\n")
                if len(rest[key.data]) > _LONGEST_LINE or (rest[key.data] and not data):
                    complete, rest[key.data] = [*complete, rest[key.data]], b""
                yield key.data, [piece.decode("utf-8", "replace") for raw in complete for piece in _pieces(raw)]


def _pieces(line: bytes) -> list[bytes]:
    return [line[at : at + _LONGEST_LINE] for at in range(0, len(line), _LONGEST_LINE)] or [line]
