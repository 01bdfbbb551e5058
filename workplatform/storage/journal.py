"""Journals: what each attempt of this node has put on disk, so that a dead attempt's leftovers can be swept.

One file an attempt, named `JOB.FENCE`, one path a line as JSON; it is written before the path is made and removed after
the last path is gone. A path is removed only if its own name carries the attempt's, a folder for outputs only if it is
empty, and what was shown early by the job's own list: whatever a journal says, nothing else is touched. What the job's
next attempt may go on with can be kept.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from workplatform.storage.withdrawing import withdraw

_PART: Final = ".part"
_KEPT: Final = ".kept-"
_FOLDER: Final = "folder"
_SHOWN: Final = "shown"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of one attempt."""

    folder: Path
    job_id: str
    fence: int

    @property
    def file(self) -> Path:
        """Where it is."""
        return self.folder / self.scratch

    def temporary(self, number: int) -> str:
        """Return the name of the attempt's temporary with that number."""
        return f".{self.scratch}.{number}{_PART}"

    def kept(self, target: Path) -> str:
        """Return the name of the attempt's resumable temporary for a target: one that another attempt can tell."""
        digest = hashlib.sha256(os.fsencode(target)).hexdigest()
        return f"{self._kept_prefix}{digest[:16]}{_PART}"

    def of_attempt(self, fence: int) -> "Journal":
        """Return the journal of another attempt of the job on this node."""
        return Journal(self.folder, self.job_id, fence)

    @property
    def scratch(self) -> str:
        """The name of the attempt's scratch folder."""
        return f"{self.job_id}.{self.fence}"

    @property
    def _kept_prefix(self) -> str:
        return f".{self.scratch}{_KEPT}"

    def note(self, path: Path) -> None:
        """Record a path that is about to be made."""
        self._write(str(path))

    @property
    def shown(self) -> str:
        """The name of the list of what the job shows early in a folder, whichever attempt does."""
        return f".{self.job_id}.{_SHOWN}{_PART}"

    def note_shown(self, ledger: Path) -> None:
        """Record the list of what is shown early."""
        self._write({_SHOWN: str(ledger)})

    def note_folder(self, folder: Path) -> None:
        """Record a folder that was made for an output."""
        self._write({_FOLDER: str(folder)})

    def clear(self, *, keep: bool = False) -> bool:
        """Remove every noted path that still exists, then the journal; returns whether there was anything to do.

        With `keep` the job goes on: resumable temporaries stay, and the journal with them or with folders in use.
        """
        try:
            noted = [_noted(line) for line in self.file.read_text("utf-8").split("\n")]
        except FileNotFoundError:
            return False
        ours = [path for path, kind in noted if not kind and self._is_ours(path)]
        kept = {path for path in ours if keep and path.name.startswith(self._kept_prefix) and path.exists()}
        doomed = [path for path in ours if path not in kept and os.path.lexists(path)]
        for path in doomed:
            remove(path)
        shown = [path for path, kind in noted if kind == _SHOWN and path.name == self.shown and path.exists()]
        for ledger in () if keep else shown:
            withdraw(ledger)
        folders = [path for path, kind in noted if kind == _FOLDER]
        emptied = [folder for folder in reversed(folders) if _is_removed(folder)]
        if keep and (kept or shown or any(folder.is_dir() for folder in folders)):
            return bool(doomed or emptied)
        self.file.unlink(missing_ok=True)
        return True

    def _write(self, entry: object) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(entry) + "\n")

    def _is_ours(self, path: Path) -> bool:
        return path.name == self.scratch or (path.name.startswith(f".{self.scratch}.") and path.name.endswith(_PART))


class Journals:
    """The journals of a node."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, job_id: str, fence: int) -> Journal:
        """Return the journal of an attempt; nothing is written yet."""
        return Journal(self._folder, job_id, fence)

    def close_job(self, job_id: str, fence: int) -> None:
        """Clear what attempts before the one with the fence left on this node: their job has ended."""
        last = self.open(job_id, fence)
        for earlier in range(1, fence):
            last.of_attempt(earlier).clear()

    def all(self) -> Iterator[Journal]:
        """Yield the journals on disk."""
        if not self._folder.is_dir():
            return
        for file in sorted(self._folder.iterdir()):
            job_id, _, fence = file.name.rpartition(".")
            if fence.isdigit():
                yield Journal(self._folder, job_id, int(fence))


def is_resumable(path: Path) -> bool:
    """Whether a temporary is one that a later attempt may go on with."""
    return _KEPT in path.name


def note_beside(path: Path) -> Path:
    """Return where the note of a resumable temporary is."""
    return path.with_name(f"{path.name.removesuffix(_PART)}.note{_PART}")


def ledger_beside(path: Path) -> Path:
    """Return where the names of a resumable folder's finished files are."""
    return path.with_name(f"{path.name.removesuffix(_PART)}.files{_PART}")


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


def _noted(line: str) -> tuple[Path, str]:
    """Read a line: a path, and its kind, empty for what the attempt itself made.

    The last one is cut short if its writer was killed, and then its path was never made; it reads as nobody's path.
    """
    try:
        noted = json.loads(line)
    except ValueError:
        return Path(), ""
    if isinstance(noted, dict):
        return next(((Path(str(path)), kind) for kind, path in noted.items()), (Path(), ""))
    return (Path(noted), "") if isinstance(noted, str) else (Path(), "")


def _is_removed(folder: Path) -> bool:
    """Remove a folder if it is empty."""
    try:
        folder.rmdir()
    except OSError:  # it holds an output, somebody else uses it, or it is gone
        return False
    return True
