"""Withdrawing: removing from an output's place what a job showed there before it had ended, and nothing else.

A ledger lists what was shown, one file a line as JSON: its name in the folder, inode, size and time. A file is removed
only if it is still that one.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

Mark = tuple[int, int, int]


def mark_of(found: os.stat_result) -> Mark:
    """Return what makes a file the one that was shown."""
    return found.st_ino, found.st_size, found.st_mtime_ns


def add(ledger: Path, name: str, mark: Mark) -> None:
    """List a file that is about to be shown."""
    with ledger.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps([name, *mark]) + "\n")


def listed(ledger: Path) -> dict[str, set[Mark]]:
    """Return all that was shown under each name; nothing if there is no ledger."""
    found: dict[str, set[Mark]] = {}
    with suppress(OSError):
        for name, mark in _entries(ledger.read_text("utf-8")):
            found.setdefault(name, set()).add(mark)
    return found


def is_one_of(place: Path, marks: set[Mark]) -> bool:
    """Whether a file is there that was shown."""
    try:
        return mark_of(place.lstat()) in marks
    except OSError:
        return False


def withdraw(ledger: Path, *, target: Path | None = None, spares: Path | None = None) -> None:
    """Remove what is listed and still there, the folders below the target that are empty then, and the ledger.

    Names are relative to `target`, or else to the ledger's folder; the folder `spares` stays, empty or not.
    """
    target, shown = target or ledger.parent, listed(ledger)
    # Backwards: what lists others, such as a playlist, was shown after them.
    for name in reversed(shown):
        if is_one_of(target / name, shown[name]):
            (target / name).unlink(missing_ok=True)
    folders = {parent for name in shown for parent in list(PurePosixPath(name).parents)[:-1]}
    for folder in sorted(folders, reverse=True):
        if target / folder != spares:
            with suppress(OSError):
                (target / folder).rmdir()
    ledger.unlink(missing_ok=True)


def _entries(text: str) -> Iterator[tuple[str, Mark]]:
    """Read the lines; the last one is cut short if its writer was killed, and then its file never appeared."""
    for line in text.split("\n"):
        with suppress(ValueError, TypeError):
            name, inode, size, mtime_ns = json.loads(line)
            place = PurePosixPath(str(name))
            if place.parts and not place.is_absolute() and ".." not in place.parts:
                yield str(name), (int(inode), int(size), int(mtime_ns))
