"""Journals: what each attempt of this node has put on disk, so that a dead attempt's leftovers can be swept.

One file an attempt, named `JOB.FENCE`, one path a line as JSON; it is written before the path is made and removed after
the last path is gone. A path is removed only if its own name carries the attempt's: whatever a journal says, nothing
else is touched.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of one attempt."""

    file: Path
    job_id: str
    fence: int

    def temporary(self, number: int) -> str:
        """Return the name of the attempt's temporary with that number."""
        return f".{self.scratch}.{number}.part"

    @property
    def scratch(self) -> str:
        """The name of the attempt's scratch folder."""
        return f"{self.job_id}.{self.fence}"

    def note(self, path: Path) -> None:
        """Record a path that is about to be made."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(str(path)) + "\n")

    def clear(self) -> None:
        """Remove every noted path that still exists, then the journal."""
        try:
            noted = self.file.read_text("utf-8").split("\n")
        except FileNotFoundError:
            return
        for line in noted:
            path = _noted_path(line)
            if path is not None and self._is_ours(path):
                remove(path)
        self.file.unlink(missing_ok=True)

    def _is_ours(self, path: Path) -> bool:
        return path.name == self.scratch or (path.name.startswith(f".{self.scratch}.") and path.name.endswith(".part"))


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
    """Remove a file or a whole folder; nothing happens if it is gone, a path that cannot be removed is logged."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        if path.exists():
            _log.warning("leftover_stays", path=str(path), error=str(error))


def _noted_path(line: str) -> Path | None:
    """Read a line; the last one is cut short if its writer was killed, and then its path was never made."""
    try:
        noted = json.loads(line)
    except ValueError:
        return None
    return Path(noted) if isinstance(noted, str) else None
