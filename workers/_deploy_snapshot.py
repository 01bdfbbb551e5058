"""Copies of what git cannot bring back, and their way back; runs in a child process, since trees can be large."""

import fcntl
import os
import shutil
import stat
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from workers._deploy_place import remove
from workers._git_reading import others
from workplatform.errors import NoSpaceError
from workplatform.shortage import is_out_of_space

_FICLONE: Final = 0x4004_9409  # ioctl_ficlone(2)
_BLOCK: Final = 1 << 20
# What is staged or in conflict, and the merge, cherry-pick or revert that it comes from: a checkout drops it.
_UNFINISHED: Final = (
    "index",
    "AUTO_MERGE",
    "CHERRY_PICK_HEAD",
    "MERGE_HEAD",
    "MERGE_MODE",
    "MERGE_MSG",
    "MERGE_RR",
    "REVERT_HEAD",
    "SQUASH_MSG",
    "sequencer",
)


def take(directory: Path, names: Sequence[str], snapshot: Path, unfinished: Path) -> None:
    """Copy files and folders aside, by reference where the file system can (btrfs, XFS), and git's unfinished work."""
    remove(snapshot)
    snapshot.mkdir(parents=True)
    remove(unfinished)
    unfinished.mkdir()
    for name in _UNFINISHED:
        _copy_any(directory / ".git" / name, unfinished / name)
    for name in names:
        source, target = directory / name, snapshot / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if _is_folder(source):
            shutil.copytree(source, target, symlinks=True, copy_function=_copy, ignore=_only_what_can_be_copied)
            _give_folders_to_their_owners(source, target)
        elif _can_be_copied(source):
            _copy(source, target)


def give_back(
    directory: Path,
    env: Mapping[str, str],
    *,
    copied: Sequence[str],
    gone: Sequence[str],
    kept: Sequence[str] | None,
    snapshot: Path,
) -> None:
    """Put back what was copied, and remove what was `gone`. May be repeated after a crash.

    What still is as its copy stays, since a program may have it open. With `kept` everything else that git does not
    know is removed, but what is named there.
    """
    if kept is not None:
        remove_new(directory, env, {*kept, *copied})
    for name in gone:
        if all(_is_folder(directory / parent) for parent in Path(name).parents):
            remove(directory / name)
    for name in copied:
        copy, target = snapshot / name, directory / name
        if os.path.lexists(copy):
            target.parent.mkdir(parents=True, exist_ok=True)
            _put_back(copy, target)


def remove_new(directory: Path, env: Mapping[str, str], spared: Set[str]) -> None:
    """Remove what git does not know, but what is named, what that is in, and what is in that."""
    around = {str(parent) for name in spared for parent in Path(name).parents}
    for name in others(directory / ".git", env):
        if name not in around and spared.isdisjoint((name, *map(str, Path(name).parents))):
            remove(directory / name)


def give_back_unfinished(git_dir: Path, unfinished: Path) -> None:
    """Have git go on with what was staged, in conflict or being merged; it compares files with its index by itself."""
    for name in _UNFINISHED:
        beside = git_dir / f"{name}.new"
        remove(beside)
        _copy_any(unfinished / name, beside)
        if _is_folder(beside) or not beside.exists():
            remove(git_dir / name)
        if beside.exists():
            beside.replace(git_dir / name)


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


def _copy_any(source: Path, target: Path) -> None:
    """Copy a file or a folder, if there is one."""
    if _is_folder(source):
        shutil.copytree(source, target, symlinks=True)
    elif source.is_file():
        shutil.copy(source, target)


def _put_back(copy: Path, target: Path) -> None:
    """Have a file, or a folder with all in it, as its copy is, which stays: a crash may have this begin again."""
    if not _is_folder(copy):
        if not _is_same(copy, target):
            remove(target)
            _link(copy, target)
        return
    if not _is_folder(target):
        remove(target)
        target.mkdir()
    names = {entry.name for entry in copy.iterdir()}
    for entry in list(target.iterdir()):
        if entry.name not in names and (_is_folder(entry) or _can_be_copied(entry)):
            remove(entry)
    for name in names:
        _put_back(copy / name, target / name)
    _own_as(copy, target)
    shutil.copystat(copy, target)


def _is_same(copy: Path, target: Path) -> bool:
    """Whether a file needs not be put back; its time of change is set right if nothing else differs."""
    try:
        old, now = copy.lstat(), target.lstat()
    except FileNotFoundError:
        return False
    if (old.st_mode, old.st_size) != (now.st_mode, now.st_size):
        return False
    if stat.S_ISLNK(old.st_mode):
        return copy.readlink() == target.readlink()
    # Nothing sets the time of a change to the inode but the change: since the copy was made there was none.
    is_untouched = now.st_ctime_ns < old.st_ctime_ns and now.st_mtime_ns == old.st_mtime_ns
    if not is_untouched and not _has_same_bytes(copy, target):
        return False
    if now.st_mtime_ns != old.st_mtime_ns:
        os.utime(target, ns=(old.st_atime_ns, old.st_mtime_ns))
    return True


def _has_same_bytes(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        while (block := first.read(_BLOCK)) == second.read(_BLOCK):
            if not block:
                return True
    return False


def _link(copy: Path, target: Path) -> None:
    """Have the copy under a second name; a file system without such names gets another copy."""
    try:
        os.link(copy, target, follow_symlinks=False)
    except OSError:
        _copy(copy, target)


def _copy(source: Any, target: Any, *, follow_symlinks: bool = False) -> Any:  # noqa: ARG001 - copytree's signature
    if os.path.islink(source):  # noqa: PTH114 - copytree gives either kind of path
        shutil.copy2(source, target, follow_symlinks=False)
        _own_as(source, target)
        return target
    with open(source, "rb") as old, open(target, "wb") as new:  # noqa: PTH123 - see above
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError:
            # Into the file that is open: ext4 would write one that is emptied once more to the disk when it is closed.
            _pour(old, new)
    _own_as(source, target)
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


def _give_folders_to_their_owners(source: Path, target: Path) -> None:
    for folder, _, _ in os.walk(target):
        _own_as(source / Path(folder).relative_to(target), folder)


def _own_as(source: Any, target: Any) -> None:
    """Have the owner of one file own another, if we may do that."""
    status = os.lstat(source)
    if os.geteuid() == 0:
        with suppress(OSError):
            os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _can_be_copied(path: Path) -> bool:
    """Whether a path is a file or a link: copying a socket, a pipe or a device would wait for ever."""
    return path.is_symlink() or path.is_file()


def _only_what_can_be_copied(folder: Any, names: list[str]) -> list[str]:
    paths = (Path(folder) / name for name in names)
    return [path.name for path in paths if not (_is_folder(path) or _can_be_copied(path))]
