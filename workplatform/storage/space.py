"""Space: what attempts take of the disks, how much one may take, and how much has to stay free."""

import os
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workplatform.errors import NoSpaceError

_BLOCK: Final = 512  # what st_blocks counts, whatever the file system's own blocks are
_LARGEST_SHARE: Final = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an attempt may have on disk before it is committed, and what has to stay free of each disk.

    Of a small disk only a twentieth has to stay free, however much is asked.
    """

    most_bytes: int = sys.maxsize
    min_free_bytes: int = 0

    def require_room(self, folder: Path) -> None:
        """Raise NoSpaceError if the disk of a folder, which need not exist yet, has less room left than it has to."""
        free_bytes, wanted_bytes = self._room(folder)
        if free_bytes < wanted_bytes:
            raise NoSpaceError(
                f"the disk of {folder} is full: {free_bytes // 10**6} MB are left, and {wanted_bytes // 10**6} MB "
                "have to stay free (MIN_FREE_BYTES)"
            )

    def spare_bytes(self, folder: Path) -> int:
        """Return how much may be written to the disk of a folder; below 0 if less is free than has to stay so."""
        free_bytes, wanted_bytes = self._room(folder)
        return free_bytes - wanted_bytes

    def _room(self, folder: Path) -> tuple[int, int]:
        """Return how much is free, and how much has to stay so."""
        found = os.statvfs(_existing(folder))
        free_bytes, disk_bytes = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        return free_bytes, min(self.min_free_bytes, disk_bytes // _LARGEST_SHARE)

    def is_short(self, folder: Path) -> bool:
        """Whether the disk of a folder has less room left than it has to."""
        try:
            self.require_room(folder)
        except NoSpaceError:
            return True
        except OSError:
            return False
        return False


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt takes of one disk, which holds `folder`."""

    device: int
    folder: Path
    taken_bytes: int


def usage(paths: Iterable[Path]) -> list[Usage]:
    """Return what files and folders take, disk by disk; what disappears meanwhile counts nothing."""
    found: dict[int, Usage] = {}
    for path in paths:
        try:
            device = path.stat().st_dev
        except OSError:
            continue
        before = found[device].taken_bytes if device in found else 0
        found[device] = Usage(device, path.parent, before + taken_bytes(path))
    return list(found.values())


def taken_bytes(path: Path) -> int:
    """Return what a file, or a folder with all in it, takes of its disk: not its holes, but what is reserved for it."""
    total, pending = 0, [path]
    while pending:
        place = pending.pop()
        try:
            found = place.lstat()
            total += found.st_blocks * _BLOCK
            if stat.S_ISDIR(found.st_mode):
                pending += place.iterdir()
        except OSError:  # somebody was faster
            continue
    return total


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
