"""Keeping: how the finished files of a folder pass from one attempt of a job to the next.

Every attempt has a folder of its own, by its name. Of an older one's the next attempt takes what was named as finished,
by links into a new folder; then it moves the older folder out of the way. So an attempt that comes back late writes to
no path of its successor, can make nothing visible any more (its files are where it does not know), and the files that
both have are written by nobody.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Final

from workplatform.storage.journal import Journal, ledger_beside, note_beside, remove

_TWIN: Final = ".twin"


def keep(folder: Path, name: str) -> None:
    """Note that a file of the folder is finished; it must never be written again, but may be replaced or removed."""
    found = (folder / name).stat()
    with ledger_beside(folder).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps([name, found.st_size, found.st_mtime_ns]) + "\n")


def take_over(journal: Journal, target: Path, retired: Path, watch: Callable[[], None]) -> None:
    """Fill the attempt's new folder with what the newest earlier attempt finished, and its note, if it left one.

    Folders of earlier attempts are moved into `retired`, which is removed. `watch` is asked between files and may
    raise.
    """
    own = target.with_name(journal.kept(target))
    earlier = [target.with_name(journal.of_attempt(fence).kept(target)) for fence in range(journal.fence - 1, 0, -1)]
    left = [folder for folder in earlier if folder.is_dir() and not folder.is_symlink()]
    for folder in left:
        if _has_handed_on(folder, own, watch):
            break
    if left:
        retired.mkdir()
        for folder in left:
            _retire(folder, retired)
        remove(retired)


def twin(source: Path, place: Path) -> None:
    """Make a second name for a finished file, or a copy where the file system knows no links."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, place, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        # Complete before it has the name: nobody finds half of it.
        half = place.with_name(f"{place.name}{_TWIN}")
        shutil.copy2(source, half, follow_symlinks=False)
        half.replace(place)


def _has_handed_on(old: Path, own: Path, watch: Callable[[], None]) -> bool:
    """Whether there was anything with a note; the note comes last, as files without one are worth nothing."""
    try:
        told = note_beside(old).read_bytes()
    except OSError:
        return False
    names = [name for name in _finished(old) if _is_taken(old, own, name, watch)]
    if names:
        note_beside(own).write_bytes(told)
    return bool(names)


def _is_taken(old: Path, own: Path, name: str, watch: Callable[[], None]) -> bool:
    watch()
    try:
        twin(old / name, own / name)
    except FileNotFoundError:  # its attempt is alive and has removed it
        return False
    keep(own, name)
    return True


def _finished(folder: Path) -> Iterator[str]:
    """Return the names of the files that are still as they were when they were named."""
    try:
        lines = ledger_beside(folder).read_text("utf-8").split("\n")
    except OSError:
        return
    for name, (size, mtime_ns) in dict(filter(None, map(_entry, lines))).items():
        try:
            found = (folder / name).lstat()
        except OSError:
            continue
        if S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (size, mtime_ns):
            yield name


def _entry(line: str) -> tuple[str, tuple[int, int]] | None:
    """Read a line; the last one is cut short if its writer was killed."""
    try:
        name, size, mtime_ns = json.loads(line)
    except (ValueError, TypeError):
        return None
    place = PurePosixPath(str(name))
    is_inside = not place.is_absolute() and ".." not in place.parts
    return (str(name), (int(size), int(mtime_ns))) if is_inside else None


def _retire(folder: Path, retired: Path) -> None:
    """Move the folder to where its attempt does not look: in one step, so that nothing of it is made visible later."""
    with suppress(FileNotFoundError):  # its attempt was faster
        folder.rename(retired / folder.name)
    for path in (note_beside(folder), ledger_beside(folder)):
        remove(path)
