"""Runs one build as a program of its own: bounds its time and memory, and leaves no process of it behind.

It inherits the orphans of what it started (Linux: subreaper), so that daemons of a build end with it. It is told to end
by SIGTERM: of the worker that cancels, or of the kernel when the worker has died. It imports nothing of the platform,
since it runs with the build's environment: `python -I _build_runner.py VERDICT SECONDS BYTES COMMAND`. Why it ended
a build goes to the file VERDICT.
"""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final

import psutil

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LOOK_S: Final = 0.1
_WEIGHED_EVERY_S: Final = 0.5
_GRACE_S: Final = 0.25
_MOST_ROUNDS: Final = 200
_ENDED: Final = 1


def main(verdict: str, seconds: str, most_bytes: str, command: str) -> int:
    """Run the command; returns its exit code, 1 if it was ended from here."""
    _become_reaper()
    build = subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdin=subprocess.DEVNULL,
        process_group=0,  # scripts say `kill 0` to end what they started
        preexec_fn=_die_with_runner,  # noqa: PLW1509 - one thread
    )
    reason = _watch(build, time.monotonic() + float(seconds), int(most_bytes))
    end_descendants()
    if reason:
        Path(verdict).write_text(reason, encoding="utf-8")
        return _ENDED
    code = build.wait()
    return 128 - code if code < 0 else code  # as a shell tells of a signal


def end_descendants() -> None:
    """End all that the build left: a moment after SIGTERM everything is killed, round by round until none is left."""
    left = _descendants()
    _signal(left, signal.SIGTERM)
    psutil.wait_procs(left, timeout=_GRACE_S)
    for _ in range(_MOST_ROUNDS):
        left = _descendants()
        if not left:
            return
        # What is stopped first cannot fork while the others are killed.
        _signal(left, signal.SIGSTOP)
        _signal(left, signal.SIGKILL)
        psutil.wait_procs(left, timeout=_GRACE_S)


def _watch(build: "subprocess.Popen[bytes]", ends: float, most_bytes: int) -> str:
    """Wait for the build's end; returns why it has to be ended instead, if it has."""
    weighed = 0.0
    while build.poll() is None:
        now = time.monotonic()
        if now > ends:
            return "time"
        if now - weighed >= _WEIGHED_EVERY_S:
            weighed = now
            if _memory(_resident) > most_bytes and _memory(_proportional) > most_bytes:
                return "memory"
        with suppress(subprocess.TimeoutExpired):
            build.wait(_LOOK_S)
    return ""


def _memory(of: Callable[[psutil.Process], int]) -> int:
    """Return the bytes that the build's processes hold together."""
    total = 0
    for process in _descendants():
        with suppress(psutil.Error):
            total += of(process)
    return total


def _resident(process: psutil.Process) -> int:
    """Return what a process holds: told at once, but what it shares with others counts for each."""
    return int(process.memory_info().rss)


def _proportional(process: psutil.Process) -> int:
    """Return what a process holds, of what it shares its part (Linux); takes longer the more it holds."""
    return int(process.memory_full_info().pss) if sys.platform == "linux" else _resident(process)


def _descendants() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)


def _become_reaper() -> None:
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # in place of SIGKILL, which would leave no time
    signal.signal(signal.SIGTERM, _end)


def _die_with_runner() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_descendants()
    sys.exit(_ENDED)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
