"""Journals: what each attempt of this node has put on disk, so that a dead attempt's leftovers can be swept.

One file an attempt, named `JOB.FENCE`, one path a line; it is written before the path is made and removed after the
last path is gone.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of one attempt."""

    file: Path
    job_id: str
    fence: int

    def note(self, path: Path) -> None:
        """Record a path that is about to be made."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as journal:
            journal.write(f"{path}\n")

    def clear(self) -> None:
        """Remove every noted path that still exists, then the journal."""
        try:
            noted = self.file.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return
        for line in noted:
            remove(Path(line))
        self.file.unlink(missing_ok=True)


class Journals:
    """The journals of a node."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, job_id: str, fence: int) -> Journal:
        """Return the journal of an attempt; nothing is written yet."""
        return Journal(self._folder / f"{job_id}.{fence}", job_id, fence)

    def all(self) -> Iterator[Journal]:
        """Yield the journals on disk."""
        if not self._folder.is_dir():
            return
        for file in sorted(self._folder.iterdir()):
            job_id, _, fence = file.name.rpartition(".")
            if fence.isdigit():
                yield Journal(file, job_id, int(fence))


def remove(path: Path) -> None:
    """Remove a file or a whole folder; nothing happens if it is gone already."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
