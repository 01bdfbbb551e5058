"""One Chromium process tree: its profile, its start, and its certain end."""

import ctypes
import fcntl
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWUSER = 0x10000000
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_ABOVE_THE_USUAL = 10
_PATIENCE_S = 5.0
_TAIL_BYTES = 4000
_LONGEST_BYTES = 60  # a socket's name has 107, and Chromium adds 45

# Every byte goes through the proxy of the visit's context: names are not resolved here, UDP is off, and what belongs
# to no context meets a port where nobody listens.
_FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-startup-window",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
    "--proxy-server=http://127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-quic",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--disable-features=DialMediaRouteProvider,MediaRouter,OptimizationHints,Translate",
    "--metrics-recording-only",
    "--mute-audio",
    "--password-store=basic",
    "--use-mock-keychain",
)


@dataclass(frozen=True, slots=True)
class Profile:
    """The folder of one browser, and the lock on it, held as long as this process lives."""

    path: Path
    lock: int

    @property
    def temporary(self) -> str:
        """The same folder by a name that is short enough for the name of a socket in it."""
        if len(os.fsencode(self.path)) <= _LONGEST_BYTES:
            return str(self.path)
        return f"/proc/{os.getpid()}/fd/{self.lock}"


@dataclass(frozen=True, slots=True)
class Chromium:
    """A running browser: its process, the pipe that takes commands, the pipe that tells, and what it has printed."""

    pid: int
    commands: int
    events: int
    log: Path

    def last_words(self) -> str:
        """Return why the browser ended, by what it has printed."""
        text = self.log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace") if self.log.exists() else ""
        lines = [line for line in text.splitlines() if line.strip()]
        fatal = [line for line in lines if ":FATAL:" in line]
        return (fatal or lines or ["it printed nothing"])[-1]


def claim_profile(folder: Path) -> Profile:
    """Make a profile in `folder`, this process's as long as it lives.

    A lock on the profile's own folder says so; the kernel drops it with the process, and then the platform sweeps the
    folder. It waits for its turn, so that nobody sweeps between the folder and its lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        path = Path(tempfile.mkdtemp(prefix="profile-", dir=folder))
        lock = os.open(path, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return Profile(path, lock)


def become_guardian() -> None:
    """Inherit whatever the browser's processes leave behind, so that end_all() finds it."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start(program: str, profile: Profile) -> Chromium:
    """Start a browser that the kernel ends with this process, by its death signal and by the closed pipes."""
    commands_read, commands = _high_pipe()
    events, events_write = _high_pipe()
    log = profile.path / "chromium.log"
    words = [program, *_FLAGS, *_sandbox_flags(), f"--user-data-dir={profile.path}"]
    env = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    env |= {"HOME": str(profile.path), "TMPDIR": profile.temporary}
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(words, env, parent, (commands_read, events_write, log))
    os.close(commands_read)
    os.close(events_write)
    return Chromium(pid, commands, events, log)


def end_all() -> None:
    """Kill everything below this process, and wait until it is gone."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        for pid in _descendants(os.getpid()):
            _kill(pid)
        if _reaped_everything():
            return
        time.sleep(0.01)


def reap() -> Iterator[int]:
    """Yield the children that have ended, adopted ones included."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid


def _sandbox_flags() -> tuple[str, ...]:
    """Return nothing where Chromium's own sandbox can work: not for root, nor without user namespaces."""
    return ("--no-sandbox",) if os.geteuid() == 0 or not _has_user_namespaces() else ()


def _has_user_namespaces() -> bool:
    if _LIBC is None:
        return True
    pid = os.fork()
    if pid == 0:
        os._exit(1 if _LIBC.unshare(_CLONE_NEWUSER) else 0)
    _, status = os.waitpid(pid, 0)
    return status == 0


def _become(words: Sequence[str], env: dict[str, str], parent: int, ends: tuple[int, int, Path]) -> NoReturn:
    """Be the browser; its debugging pipes have to be descriptors 3 and 4."""
    commands_read, events_write, log = ends
    try:
        os.setsid()
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(0)
        null = os.open(os.devnull, os.O_RDWR)
        printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for source, number in ((null, 0), (null, 1), (printed, 2), (commands_read, 3), (events_write, 4)):
            os.dup2(source, number, inheritable=True)
        os.execve(words[0], list(words), env)  # noqa: S606 - no shell wanted
    except OSError as error:
        os.write(2, f"cannot run {words[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _high_pipe() -> tuple[int, int]:
    """Make a pipe whose numbers are in nobody's way."""
    low = os.pipe()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE_THE_USUAL) for fd in low]
    for fd in low:
        os.close(fd)
    return high[0], high[1]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _reaped_everything() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def _descendants(root: int) -> set[int]:
    """Return every process below `root`, by the table in /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        parents[int(entry.parent.name)] = int(fields[1])
    below: set[int] = set()
    while added := {pid for pid, parent in parents.items() if parent in below | {root}} - below:
        below |= added
    return below
