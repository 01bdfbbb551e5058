"""Resuming: how an attempt goes on with the file that an earlier attempt of the same job has half written.

Such a file belongs to one attempt: by its name, and by a lock that the attempt's worker holds on it. The next attempt
renames the file if the lock is free. If it is not, its writer may still be alive (a frozen worker, one cut off from
Redis), and what it has written so far is copied. So no two attempts ever write into the same file, and one that comes
back late finds its own file, or none.
"""

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from workplatform.storage.journal import Journal, note_beside, remove

_FICLONE: Final = 0x40049409  # linux/fs.h; a file system that shares blocks copies in no time
_BLOCK: Final = 8 << 20


@dataclass(slots=True)
class Hold:
    """The lock on an attempt's own file; it ends with the process at the latest."""

    _fd: int

    def release(self) -> None:
        """Let another attempt have the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def begin(path: Path) -> Hold | None:
    """Make an empty file of one's own, its time zero; None where the file system knows no locks."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    os.utime(fd, (0, 0))
    return _own(fd)


def take_over(journal: Journal, target: Path, watch: Callable[[], None]) -> Hold | None:
    """Go on with what the newest earlier attempt left for the target, and its note; None if there is nothing.

    `watch` is asked while a large file is copied and may raise.
    """
    own = target.with_name(journal.kept(target))
    for fence in range(journal.fence - 1, 0, -1):
        old = target.with_name(journal.of_attempt(fence).kept(target))
        try:
            fd = os.open(old, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        hold = _rename(fd, old, own) if _is_locked_by_us(fd) else _copy(fd, old, own, watch)
        if hold is not None:
            return hold
    return None


def _rename(fd: int, old: Path, own: Path) -> Hold | None:
    """Take over a file whose lock we have; the note goes first, as bytes without a note are worth nothing."""
    try:
        if os.fstat(fd).st_size == 0 or not os.path.samestat(os.fstat(fd), old.stat()):
            raise FileNotFoundError
        note_beside(old).replace(note_beside(own))
        old.replace(own)
    except FileNotFoundError:
        os.close(fd)
        return None
    return Hold(fd)


def _copy(fd: int, old: Path, own: Path, watch: Callable[[], None]) -> Hold | None:
    """Copy what somebody else may be writing: whole as far as it goes, or not at all."""
    with open(fd, "rb") as source:
        try:
            before, told = _stamp(note_beside(old)), note_beside(old).read_bytes()
        except FileNotFoundError:
            return None
        hold = begin(own)
        try:
            if (
                hold is not None
                and _copy_bytes(source.fileno(), own, watch)
                and _is_as_before(source, old, own, before)
            ):
                note_beside(own).write_bytes(told)
                return hold
        except BaseException:
            _drop(hold, own)
            raise
    _drop(hold, own)
    return None


def _copy_bytes(source: int, own: Path, watch: Callable[[], None]) -> int:
    """Copy as many bytes as there are now; returns how many."""
    with own.open("r+b", buffering=0) as copy:
        try:
            fcntl.ioctl(copy.fileno(), _FICLONE, source)
        except OSError:
            done, size = 0, os.fstat(source).st_size
            while done < size and (block := os.pread(source, min(_BLOCK, size - done), done)):
                watch()
                done += copy.write(block)
        return os.fstat(copy.fileno()).st_size


def _is_as_before(source: BinaryIO, old: Path, own: Path, before: tuple[int, int, int]) -> bool:
    """Whether the copy is a beginning of the file: who starts over writes the note anew or makes the file shorter."""
    try:
        return _stamp(note_beside(old)) == before and os.fstat(source.fileno()).st_size >= own.stat().st_size
    except FileNotFoundError:
        return False


def _drop(hold: Hold | None, own: Path) -> None:
    if hold is not None:
        hold.release()
    remove(own)


def _own(fd: int) -> Hold | None:
    if _is_locked_by_us(fd):
        return Hold(fd)
    os.close(fd)
    return None


def _is_locked_by_us(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
