"""The build of a deploy: a command of its repository's, with a clean environment, bounds, and an end."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from workers import _build_runner
from workers._deploy_models import DeployPayload
from workers._deploy_place import Place
from workplatform.context import JobContext
from workplatform.errors import BuildFailedError, JobError

# Every process of a build inherits it, so that those of a dead worker can be found (as Jenkins does it).
_COOKIE: Final = "WORKPLATFORM_BUILD"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_QUOTED: Final = 3
# What a line costs us has little to do with its length: `yes` would print for minutes before it is ended.
_LEAST_LINE_BYTES: Final = 32
_LOGGED: Final = 4000  # characters of a line in the log
_PATIENCE_S: Final = 20.0
# After buildTimeout the runner has this long to end the build, before it is ended too: a build can have stopped it.
_RUNNER_ENDS_WITHIN_S: Final = 5.0
_LOOK_S: Final = 0.05


def build(job: JobContext, place: Place, folder: Path, payload: DeployPayload, variables: dict[str, str]) -> None:
    """Run the build command in a folder; raises BuildFailedError.

    When this returns or raises, no process of the build is left on this node.
    """
    verdict = job.workdir / "verdict"
    verdict.unlink(missing_ok=True)
    meter = _Meter(job, payload.build_output)
    bounds = [str(payload.build_timeout), str(payload.build_memory)]
    ends = time.monotonic() + payload.build_timeout + _RUNNER_ENDS_WITHIN_S

    def watch() -> None:
        if time.monotonic() > ends:
            raise BuildFailedError(_bound("time", payload))

    runner = [sys.executable, "-I", str(Path(_build_runner.__file__)), str(verdict), *bounds]
    try:
        ended = job.run(
            [*runner, payload.build_command or ":"],
            on_stdout=meter.feed,
            on_stderr=meter.feed,
            cwd=folder,
            env=_environment(place, payload, variables),
            blank_lines=True,
            watch=watch,
        )
    finally:
        end_builds(place)
    if verdict.is_file():
        raise BuildFailedError(_bound(verdict.read_text("utf-8"), payload))
    if ended.returncode != 0:
        raise BuildFailedError(f"the build ended with {_exit(ended.returncode)}{meter.quoted}")


def end_builds(place: Place) -> None:
    """End whatever a build of this project left on this node, be its worker dead; raises JobError if it will not."""
    deadline = time.monotonic() + _PATIENCE_S
    while left := _with_cookie(str(place.state)):
        if time.monotonic() > deadline:
            raise JobError(f"{len(left)} processes of an earlier build cannot be ended")
        for process in left:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        time.sleep(_LOOK_S)


class _Meter:
    """Counts what a build prints, and passes it to the job's log."""

    def __init__(self, job: JobContext, most_bytes: int) -> None:
        self._job = job
        self._most_bytes = most_bytes
        self._printed = 0
        self._last: list[str] = []

    def feed(self, line: str) -> None:
        """Take a line; raises BuildFailedError if it is one too many."""
        self._printed += max(len(line.encode("utf-8", "replace")) + 1, _LEAST_LINE_BYTES)
        if self._printed > self._most_bytes:
            raise BuildFailedError(f"the build printed more than {self._most_bytes} bytes (buildOutput)")
        if line.strip():
            self._last = [*self._last[1 - _QUOTED :], line]
        for at in range(0, len(line) or 1, _LOGGED):
            self._job.log(line[at : at + _LOGGED])

    @property
    def quoted(self) -> str:
        """The end of what it printed, as part of a sentence."""
        text = " / ".join(line.strip() for line in self._last)[-500:]
        return f": {text}" if text else ""


def _environment(place: Place, payload: DeployPayload, variables: dict[str, str]) -> dict[str, str]:
    ours = {"PATH": os.environ.get("PATH", _PATH), "HOME": str(place.home), "LANG": os.environ.get("LANG", "C.UTF-8")}
    return {**ours, **variables, **payload.env, _COOKIE: str(place.state)}


def _with_cookie(value: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(_COOKIE) == value:
                found.append(process)
    return found


def _bound(reason: str, payload: DeployPayload) -> str:
    if reason == "time":
        return f"the build took more than {payload.build_timeout:g} seconds (buildTimeout) and was ended"
    return f"the build took more than {payload.build_memory} bytes of memory (buildMemory) and was ended"


def _exit(code: int) -> str:
    """Say how a build ended; a shell tells of a signal by a code above 128."""
    return f"signal {-code}" if code < 0 else f"code {code}{f' (signal {code - 128})' if 128 < code < 160 else ''}"
