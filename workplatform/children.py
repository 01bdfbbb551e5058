"""Warm child processes of a worker, one a running job: crashes, hangs and memory of native code stay in them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import structlog

from workplatform.child import Answer, Call, Command, Lines, Returned, Told
from workplatform.context import Completed, OnLine
from workplatform.errors import ChildCrashedError, JobError
from workplatform.nursery import Nurseling, nursery_of

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
OnNews = Callable[[Lines | Told], None]

_CALLS_PER_CHILD: Final = 200
_POLL_S: Final = 0.1
_GRACE_S: Final = 0.5
_KEPT_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")

_log = structlog.get_logger()


class ChildPool:
    """Lends children to the worker's threads; has them made as needed by this process's nursery.

    `preload` names modules that children find already imported. Thread-safe, but best made before any thread is: see
    nursery.py. A child serves some hundred calls, and is replaced after a crash or a kill.
    """

    def __init__(self, *, preload: Sequence[str]) -> None:
        self._nursery = nursery_of(os.getpid(), tuple(preload))
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._is_closed = False

    def call(self, function: Callable[P, T], check: Callable[[], None], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a child; `check` is asked ten times a second and may raise to end it."""
        result: T = self._serve(Call(function, args, kwargs), check, None)
        return result

    def follow(
        self,
        function: Callable[P, Generator[R, None, T]],
        check: Callable[[], None],
        on_report: Callable[[R], None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call a generator function in a child; what it yields is given to `on_report` as it comes."""

        def on_news(news: Lines | Told) -> None:
            if isinstance(news, Told):
                on_report(news.report)

        result: T = self._serve(Call(function, args, kwargs), check, on_news)
        return result

    def run(  # noqa: PLR0913 - all that a program's run may differ in
        self,
        command: Sequence[str],
        *,
        check: Callable[[], None],
        on_stdout: OnLine | None,
        on_stderr: OnLine | None,
        cwd: Path | None,
        env: Mapping[str, str] | None,
        blank_lines: bool = False,
    ) -> Completed:
        """Run a program in a child's process group."""
        clean = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | dict(env or {})
        request = Command(tuple(command), str(cwd) if cwd else None, clean, blank_lines)
        handlers = {"stdout": on_stdout, "stderr": on_stderr}

        def on_news(news: Lines | Told) -> None:
            if isinstance(news, Lines) and (handler := handlers[news.stream]):
                for text in news.texts:
                    handler(text)

        returncode, tail = self._serve(request, check, on_news)
        return Completed(returncode, tail)

    def close(self) -> None:
        """End the idle children; busy ones end with their jobs."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.close()

    def _serve(self, request: Call | Command, check: Callable[[], None], on_news: OnNews | None) -> Any:
        child = self._lend()
        is_reusable = False
        try:
            answer = child.ask(request, check, on_news)
            # What a program left behind ends with the child's group.
            is_reusable = answer.is_alone and child.calls < _CALLS_PER_CHILD
        finally:
            self._take_back(child, is_reusable=is_reusable)
        outcome = answer.outcome
        if isinstance(outcome, Returned):
            return outcome.value
        if outcome.error is not None:
            raise outcome.error
        _log.warning("child_raised", error=outcome.text, trace=outcome.trace)
        raise JobError(outcome.text)

    def _lend(self) -> "_Child":
        with self._lock:
            if self._idle:
                return self._idle.pop()
            return _Child(self._nursery.bear())

    def _take_back(self, child: "_Child", *, is_reusable: bool) -> None:
        if not is_reusable:
            child.kill()
            return
        with self._lock:
            if not self._is_closed:
                self._idle.append(child)
                return
        child.close()


class _Child:
    """One child process and the pipe to it."""

    def __init__(self, process: Nurseling) -> None:
        self._process = process
        self._connection = process.connection
        self._runs_program = False
        self.calls = 0

    def ask(self, request: Call | Command, check: Callable[[], None], on_news: OnNews | None) -> Answer:
        """Send a request and wait for its answer; raises what `check` raises, or ChildCrashedError."""
        self.calls += 1
        self._runs_program = isinstance(request, Command)
        try:
            self._connection.send(request)
            while True:
                while not self._connection.poll(_POLL_S):
                    check()
                answer: Lines | Told | Answer = self._connection.recv()
                if isinstance(answer, Answer):
                    self._runs_program = False
                    return answer
                if on_news:
                    on_news(answer)
                check()
        except (EOFError, ConnectionError) as error:
            raise self._crash() from error

    def kill(self) -> None:
        """End the process group: a program gets half a second after SIGTERM, then everything is killed."""
        if self._runs_program:
            self._signal_group(signal.SIGTERM)
            self._signal_group(signal.SIGCONT)  # one that is stopped would not hear of it
            self._drain(time.monotonic() + _GRACE_S)
        self._signal_group(signal.SIGKILL)
        self._process.join()
        self._process.close()

    def close(self) -> None:
        """Let an idle child end by itself."""
        self._connection.close()
        if not self._process.join(_GRACE_S):
            self._signal_group(signal.SIGKILL)
            self._process.join()
        self._process.close()

    def _drain(self, deadline: float) -> None:
        """Wait for the answer of a request that was told to end, or for the program if the child itself is dead."""
        try:
            while (left := deadline - time.monotonic()) > 0 and self._connection.poll(left):
                if isinstance(self._connection.recv(), Answer):
                    return
        except (EOFError, ConnectionError):
            # Its processes are not ours to wait for.
            while time.monotonic() < deadline and self._has_group():
                time.sleep(_POLL_S)

    def _has_group(self) -> bool:
        try:
            os.killpg(self._process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            # The group is not made yet, or has ended; macOS says the latter of zombies.
            if not self._process.join(0):
                os.kill(self._process.pid, number)

    def _crash(self) -> ChildCrashedError:
        self._process.join(timeout=1)
        code = self._process.exitcode
        if code is not None and code < 0:
            name = _signal_name(-code)
            hint = ", out of memory perhaps" if code == -signal.SIGKILL else ""
            return ChildCrashedError(f"the process that did the work was ended by {name}{hint}", signal=name)
        return ChildCrashedError(f"the process that did the work ended with code {code}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
