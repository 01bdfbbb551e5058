"""The lock that keeps a data directory to one platform."""

import fcntl
import os
import time
from datetime import timedelta
from pathlib import Path

import psutil

from workplatform.errors import AlreadyRunningError, SettingsError
from workplatform.settings import Settings

_POLL_S = 0.05


class RunLock:
    """A held lock on DATA_DIR.

    It is a flock on an open file, so the kernel drops it when the last process that inherited the file ends,
    however it ends. The embedded server inherits it: its append-only file never has two writers, even when
    the supervisor was killed and the server takes a moment to follow.
    """

    def __init__(self, path: Path, fd: int, *, is_after_crash: bool) -> None:
        self._path = path
        self._owner = os.getpid()
        self.fd = fd
        self.is_after_crash = is_after_crash
        """Whether the platform before this one did not end by itself, so that remains of it may still be ending."""

    def forget(self) -> None:
        """Close this process's share of the lock; the other holders keep it."""
        os.close(self.fd)

    @property
    def is_ours(self) -> bool:
        """Whether this process took the lock, not one that it was forked from, and its file is still in place."""
        return os.getpid() == self._owner and _is_still_there(self._path, self.fd)

    def release(self) -> None:
        """Remove the lock file and give the lock up; a fork of the process that took it has nothing to give up."""
        if os.getpid() != self._owner:
            return
        if self.is_ours:
            self._path.unlink(missing_ok=True)
        os.close(self.fd)


def acquire(settings: Settings, *, patience: timedelta = timedelta(seconds=15)) -> RunLock:
    """Lock the data directory, creating it if need be.

    Waits up to `patience` while only remains of a killed platform hold the lock. Raises AlreadyRunningError, naming
    the directory and the process, if another platform runs, SettingsError if the directory cannot be used.
    """
    path = settings.run_dir / "up.lock"
    deadline = time.monotonic() + patience.total_seconds()
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held = _try(path)
        except OSError as error:
            raise SettingsError(f"DATA_DIR={settings.data_dir} cannot be used: {error.strerror}") from error
        if held is not None:
            return held
        holder = _holder(path)
        if _is_alive(holder) or time.monotonic() > deadline:
            raise AlreadyRunningError(
                f"{settings.data_dir} is in use by another platform (process {holder or 'unknown'}): "
                "stop that one, or set another DATA_DIR",
                pid=holder,
            )
        time.sleep(_POLL_S)


def _try(path: Path) -> RunLock | None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    if not _is_still_there(path, fd):
        os.close(fd)
        return None
    crashed = bool(os.read(fd, 1))
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return RunLock(path, fd, is_after_crash=crashed)


def _is_still_there(path: Path, fd: int) -> bool:
    """Whether the locked file is the one at the path: the last holder may have removed it after we opened it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def _is_alive(pid: int | None) -> bool:
    """Whether the process runs; one that was killed and waits for its parent does not."""
    try:
        return pid is not None and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _holder(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
