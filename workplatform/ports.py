"""What a JobContext is made of: each part as the context sees it, whoever provides it."""

import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO, ParamSpec, Protocol, TypeVar

import requests

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
OnLine = Callable[[str], None]


class Reporter(Protocol):
    """Where a running attempt tells how far it is, and learns that it must stop."""

    def progress(self, percent: float, message: str | None) -> None:
        """Note how far the attempt is."""

    def stage(self, name: str) -> None:
        """Note what the attempt is doing."""

    def log(self, line: str) -> None:
        """Append a line to the job's log."""

    def check(self) -> None:
        """Raise the reason to stop, if there is one."""


class Output(Protocol):
    """A file or folder that a job makes: written at `path`, visible at `target` once the attempt succeeded."""

    @property
    def path(self) -> Path:
        """Where to write: a temporary sibling of the target, on the same file system."""

    @property
    def target(self) -> Path:
        """Where the result will be."""

    @property
    def uri(self) -> str:
        """The target as the payload named it, for the result."""

    def finish(self, name: str) -> None:
        """Say that a file of a folder, by its path in there, is complete and stays as it is: it may be sent already."""

    def keep(self, name: str) -> None:
        """Let a later attempt find a file of a resumable folder; it is not written again, only replaced or removed."""

    def may_show(self) -> bool:
        """Whether files of a resumable folder may be shown early: nothing that an earlier job made is at the target.

        Raises BadInputError where nothing can be shown early.
        """

    def show(self, name: str) -> None:
        """Make a file that was kept visible at the target, until the job fails, or its commit replaces the file.

        Ask `job.confirm()` before. What was shown under the name is replaced in one step.
        """

    def withdraw(self) -> None:
        """Remove from the target what was shown."""

    @property
    def note(self) -> Path:
        """Beside a resumable output: what it is part of, in the handler's own words, kept as long as its bytes are."""


class Source(Protocol):
    """An input that a child process opens; it can be pickled."""

    def open(self) -> BinaryIO | RawIOBase:
        """Open it for reading from anywhere; of a remote file, only what is read is fetched."""


class Files(Protocol):
    """The inputs, outputs and scratch space of one attempt."""

    def input(self, uri: str) -> Path:
        """Return a readable local path."""

    def source(self, uri: str) -> Source:
        """Return what a child process can open."""

    def local_place(self, uri: str) -> Path:
        """Return a permitted path on this node."""

    def send(self, output: Output) -> None:
        """Bring an output's bytes to where they belong, without making it visible."""

    def is_folder(self, uri: str) -> bool:
        """Whether a folder is there."""

    def output(
        self, uri: str, *, directory: bool, last: str | None, owned: tuple[str, ...], resume: bool = False
    ) -> Output:
        """Plan an output."""

    def publish(self, output: Output) -> None:
        """Make one output visible."""

    def drop(self, output: Output) -> None:
        """Forget one output."""

    @property
    def workdir(self) -> Path:
        """A private folder."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended: its exit code and the last lines of its standard error."""

    returncode: int
    stderr_tail: tuple[str, ...]


class Children(Protocol):
    """Runs work outside the worker process."""

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
        """Run a program."""

    def call(self, function: Callable[P, T], check: Callable[[], None], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function."""

    def follow(
        self,
        function: Callable[P, Generator[R, None, T]],
        check: Callable[[], None],
        on_report: Callable[[R], None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a generator function, and hand on what it yields."""


class Sessions(Protocol):
    """Makes the HTTP sessions that handlers use."""

    def session(self, *, watch: Callable[[], None], within: timedelta | None) -> requests.Session:
        """Return a session that asks `watch` while it waits, and times out after `within`."""

    def connect(self, host: str, port: int, *, watch: Callable[[], None], within: timedelta) -> socket.socket:
        """Return a connection to a permitted address of a host."""
