"""JobContext: all that a handler sees of the platform."""

import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import requests

from workplatform.clock import CLOCK
from workplatform.lastwords import LastWords
from workplatform.ports import Children, Completed, Files, OnLine, Output, Reporter, Sessions, Source
from workplatform.secretfiles import no_secret
from workplatform.signing import Keys, no_keys, signed_headers

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

__all__ = ["Completed", "JobContext", "OnLine", "Output", "Reporter", "Source"]


def _forget(_found: Mapping[str, Any]) -> None:
    """Take a note of an attempt that nobody keeps."""


class JobContext:
    """One attempt, as its handler sees it. Threads that the handler starts, and ends, may use it too.

    `confirm` asks the store whether this attempt still owns its job, and raises LeaseLostError if not.
    """

    def __init__(  # noqa: PLR0913 - the one place where an attempt's parts come together
        self,
        *,
        job_id: str,
        attempt: int,
        reporter: Reporter,
        files: Files,
        children: Children,
        outbound: Sessions,
        confirm: Callable[[], None],
        secrets: Callable[[str], str] = no_secret,
        keys: Keys = no_keys,
        note: Callable[[Mapping[str, Any]], None] = _forget,
    ) -> None:
        self.id = job_id
        self.attempt = attempt
        self._reporter = reporter
        self._files = files
        self._children = children
        self._outbound = outbound
        self._confirm = confirm
        self._secrets = secrets
        self._keys = keys
        self._note = note

    def progress(self, percent: float, message: str | None = None) -> None:
        """Report progress, 0 to 100; a lower value than before is ignored, a message replaces the last one."""
        self._reporter.progress(percent, message)

    def stage(self, name: str) -> None:
        """Name what the job does now, in a word or two, such as `downloading`."""
        self._reporter.stage(name)

    def log(self, line: str) -> None:
        """Append one line to the job's log."""
        self._reporter.log(line)

    def note(self, found: Mapping[str, Any]) -> None:
        """Keep what this attempt has found, as JSON of some KB at most, whatever ends it; the last note counts."""
        self._note(found)

    def check_cancelled(self) -> None:
        """Raise Cancelled, TimeLimitError, ShuttingDown or LeaseLostError if this attempt has to end now."""
        self._reporter.check()

    def input(self, uri: str) -> Path:
        """Return a local path with the content of `uri`; what is at a URL or in a store is fetched whole.

        Raises PathForbiddenError outside the allowed roots, InputNotFoundError where there is no readable file, and for
        files from elsewhere the errors called source, storage, too large and too slow.
        """
        self.check_cancelled()
        return self._files.input(uri)

    def source(self, uri: str) -> Source:
        """Return `uri` as a value that `isolated` functions can open: a remote file is read by ranges if it can be.

        For work that needs little of a large file; raises what `input` does.
        """
        self.check_cancelled()
        return self._files.source(uri)

    def place(self, uri: str) -> Path:
        """Return the path of what the job changes where it is, without the care that outputs get.

        Raises PathForbiddenError outside the allowed roots.
        """
        self.check_cancelled()
        return self._files.local_place(uri)

    def is_folder(self, uri: str) -> bool:
        """Whether an output of this name would go into a folder: it ends in a slash, or a folder is there.

        Raises PathForbiddenError outside the allowed roots.
        """
        return uri.endswith("/") or self._files.is_folder(uri)

    def output(
        self,
        uri: str,
        *,
        directory: bool = False,
        last: str | None = None,
        owned: tuple[str, ...] = (),
        resume: bool = False,
    ) -> Output:
        """Plan an output; nothing is visible at its target before the handler has returned.

        The handler writes to `output.path` (for a directory it exists already, empty). When the handler returns, the
        platform checks that this attempt still owns the job and renames; otherwise it removes what was written. A
        directory is merged into one that exists: files of the same name are replaced, files that match the `owned`
        patterns and were not made again are removed, and nothing else is touched. `last` names the file that goes away
        first and comes last, so that its presence means complete.

        With `resume`, for a file, `output.path` may hold the bytes that an earlier attempt of this job left there,
        whatever ended it, and `output.note` what its handler noted; without such bytes the file is empty and there is
        no note. A handler writes the note before the first byte, appends in place, and starts over by a new note and
        an empty file. Bytes without a note are not handed on. They are removed when the job has ended for good.

        With `resume`, for a folder, it may hold the files for which an earlier attempt called `output.keep()`, in the
        state of that moment, and its note; such files are replaced or removed, and never written again.
        """
        self.check_cancelled()
        return self._files.output(uri, directory=directory, last=last, owned=owned, resume=resume)

    def confirm(self) -> None:
        """Raise LeaseLostError unless this attempt still owns its job; for the moment before a step of no return."""
        self.check_cancelled()
        self._confirm()

    def secret(self, name: str) -> str:
        """Return a secret of the operator's by its name; raises BadInputError if there is none."""
        return self._secrets(name)

    def signature(self, name: str, body: bytes) -> dict[str, str]:
        """Return the headers that sign what the job sends now, by the operator's webhook secret of that name.

        The job's id is the id of the message, in every attempt. Raises BadInputError if there is no such secret.
        """
        return signed_headers(self._keys(name), message_id=self.id, at_s=CLOCK.now_ms() // 1000, body=body)

    def closing(self, within: timedelta) -> "JobContext":
        """Return a context for what has to be put right though the attempt has to end: it runs on for `within`."""
        return JobContext(
            job_id=self.id,
            attempt=self.attempt,
            reporter=LastWords(self._reporter, within),
            files=self._files,
            children=self._children,
            outbound=self._outbound,
            confirm=self._confirm,
            secrets=self._secrets,
            keys=self._keys,
            note=self._note,
        )

    def publish(self, output: Output) -> None:
        """Make one output visible now, if this attempt still owns the job; it stays whatever becomes of the job.

        For jobs with many results: what is not published becomes visible at the end, all of it or nothing. Raises
        Cancelled or LeaseLostError, EncoderError if nothing was written, BadInputError if something stands in its way.
        """
        self.check_cancelled()
        self._files.send(output)
        self._confirm()
        self._files.publish(output)

    def drop(self, output: Output) -> None:
        """Forget one output and remove what was written, so that the others can still be committed."""
        self._files.drop(output)

    def http(self, *, within: timedelta | None = None, watch: Callable[[], None] | None = None) -> requests.Session:
        """Return a session for requests to permitted hosts, for the thread that asks; close it, best by `with`.

        Its waits end when the attempt has to, raising what `check_cancelled` does; everything done with it takes at
        most `within`, counted from now. It raises UrlForbiddenError for a host that must not be called, and requests'
        own errors; a request without a timeout gets one. `watch` is asked too during the waits: a TimeoutError that it
        raises ends the request as one.
        """
        self.check_cancelled()
        if watch is None:
            return self._outbound.session(watch=self._reporter.check, within=within)
        return self._outbound.session(watch=_both(self._reporter.check, watch), within=within)

    def connect(self, host: str, port: int, *, within: timedelta) -> socket.socket:
        """Return a connection to a permitted address of a host, for what is no HTTP session; any thread may ask.

        Raises UrlForbiddenError for a host that must not be called, OSError or UnicodeError for one that cannot be
        reached, and what `check_cancelled` does.
        """
        return self._outbound.connect(host, port, watch=self._reporter.check, within=within)

    @property
    def workdir(self) -> Path:
        """A private scratch folder, removed when the attempt ends however it ends."""
        return self._files.workdir

    def run(  # noqa: PLR0913 - all that a program's run may differ in
        self,
        command: Sequence[str | Path],
        *,
        on_stdout: OnLine | None = None,
        on_stderr: OnLine | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        blank_lines: bool = False,
        watch: Callable[[], None] | None = None,
    ) -> Completed:
        """Run a program to its end in a process group of its own, with a clean environment (PATH, HOME, LANG + `env`).

        Lines of its output are given to the callbacks as they come, in the handler's thread, blank ones only with
        `blank_lines`, those of more than 8 KiB in pieces. The group is killed when
        the attempt has to end, when `watch`, which is asked ten times a second, raises, and when the worker dies. A
        non-zero exit is returned, not raised.
        """
        self.check_cancelled()
        return self._children.run(
            [str(word) for word in command],
            check=_both(self._reporter.check, watch) if watch else self._reporter.check,
            on_stdout=on_stdout,
            on_stderr=on_stderr,
            cwd=cwd,
            env=env,
            blank_lines=blank_lines,
        )

    def isolated(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a module-level function in a warm child process, so that a crash or a hang ends only this attempt.

        Arguments and result are pickled; errors of the platform's tree come back as they are. Raises
        ChildCrashedError if the child dies (segmentation fault, out of memory).
        """
        self.check_cancelled()
        return self._children.call(function, self._reporter.check, *args, **kwargs)

    def follow(
        self,
        function: Callable[P, Generator[R, None, T]],
        on_report: Callable[[R], None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call a generator function as `isolated` does; what it yields is given to `on_report` as it comes.

        The reports are pickled, and taken in the handler's thread; the function's result is what it returns.
        """
        self.check_cancelled()
        return self._children.follow(function, self._reporter.check, on_report, *args, **kwargs)


def _both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def ask() -> None:
        first()
        second()

    return ask
