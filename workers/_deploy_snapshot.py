"""Copies of what git cannot bring back, and their way back; runs in a child process, since trees can be large."""

import fcntl
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from workers._deploy_place import remove
from workers._git_reading import others
from workplatform.errors import NoSpaceError
from workplatform.shortage import is_out_of_space

_FICLONE: Final = 0x4004_9409  # ioctl_ficlone(2)
_BLOCK: Final = 1 << 20


def take(directory: Path, names: Sequence[str], snapshot: Path) -> None:
    """Copy files and folders aside, by reference where the file system can (btrfs, XFS)."""
    remove(snapshot)
    snapshot.mkdir(parents=True)
    for name in names:
        source, target = directory / name, snapshot / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, target, symlinks=True, copy_function=_copy, ignore=_only_what_can_be_copied)
        elif source.is_symlink() or source.is_file():
            _copy(source, target)


def give_back(
    directory: Path, env: Mapping[str, str], *, copied: Sequence[str], kept: Sequence[str] | None, snapshot: Path
) -> None:
    """Put the copies back in place of what is there. May be repeated after a crash.

    With `kept` everything else that git does not know is removed, but what is named there.
    """
    if kept is not None:
        spared = {*kept, *copied}
        for name in others(directory / ".git", env):
            if name not in spared:
                remove(directory / name)
    for name in copied:
        copy, target = snapshot / name, directory / name
        if copy.is_symlink() or copy.exists():
            remove(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            copy.rename(target)


def empty(directory: Path, *, but_itself: bool) -> None:
    """Remove all that is in a folder, and the folder unless it was there before."""
    if directory.is_dir():
        for entry in directory.iterdir():
            remove(entry)
        if not but_itself:
            directory.rmdir()


def forget(path: Path) -> None:
    """Remove a folder with all in it."""
    remove(path)


def marks(directory: Path, names: Sequence[str]) -> dict[str, list[int] | None]:
    """Return by which a file that is still the same can be told; of one that is not there, None."""
    return {name: mark_of(directory / name) for name in names}


def mark_of(path: Path) -> list[int] | None:
    """Return the size and the moment of the last change of a file, None if there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _copy(source: Any, target: Any, *, follow_symlinks: bool = False) -> Any:  # noqa: ARG001 - copytree's signature
    if os.path.islink(source):  # noqa: PTH114 - copytree gives either kind of path
        shutil.copy2(source, target, follow_symlinks=False)
        return target
    with open(source, "rb") as old, open(target, "wb") as new:  # noqa: PTH123 - see above
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError:
            # Into the file that is open: ext4 would write one that is emptied once more to the disk when it is closed.
            _pour(old, new)
    shutil.copystat(source, target, follow_symlinks=False)
    return target


def _pour(old: BinaryIO, new: BinaryIO) -> None:
    """Copy the bytes; a full disk is no fault of this one file, so that copying a folder ends with it."""
    try:
        shutil.copyfileobj(old, new, _BLOCK)
        new.flush()
    except OSError as error:
        if is_out_of_space(error):
            raise NoSpaceError("the disk has no room for a copy of what a failed build could destroy") from error
        raise


def _only_what_can_be_copied(folder: Any, names: list[str]) -> list[str]:
    """Leave out sockets, pipes and devices: copying one would wait for ever."""
    skipped = []
    for name in names:
        path = Path(folder) / name
        if not (path.is_symlink() or path.is_file() or path.is_dir()):
            skipped.append(name)
    return skipped
