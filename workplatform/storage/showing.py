"""Showing: files of a folder that are at their places before their job has ended, and are withdrawn if it fails.

A ledger in the folder, named after the job, lists each before it appears. The job's next attempt goes on with it, the
commit ends it, and whoever clears the journals of a job that has failed withdraws what it lists.
"""

from pathlib import Path, PurePosixPath
from typing import Final

from workplatform.storage import withdrawing
from workplatform.storage.journal import Journal, remove
from workplatform.storage.keeping import twin

_STEP: Final = ".shown"


class Shown:
    """What a job shows at `target` of what it finishes in the attempt's folder `own`, on the same file system."""

    def __init__(self, journal: Journal, target: Path, own: Path) -> None:
        self._journal = journal
        self._ledger = target / journal.shown
        self._target = target
        self._own = own
        self._listed = withdrawing.listed(self._ledger)
        self._is_noted = False
        if self._listed:
            self._note()

    def has(self, name: str) -> bool:
        """Whether what is at a file's place is what the job shows there."""
        return withdrawing.is_one_of(self._target / name, self._listed.get(name, set()))

    def show(self, name: str) -> None:
        """Make a finished file visible; one shown before is replaced in one step. Raises FileExistsError for others'.

        Once the attempt's folder is its successor's, this raises FileNotFoundError, and nothing changes.
        """
        step, place = self._own / _STEP, self._target / name
        try:
            step.unlink(missing_ok=True)
            twin(self._own / name, step)
            is_ours = self.has(name)
            self._list(name, step)
            place.parent.mkdir(parents=True, exist_ok=True)
            if is_ours:
                step.replace(place)
            else:
                twin(step, place)
        finally:
            step.unlink(missing_ok=True)

    def withdraw(self) -> None:
        """Remove everything that is shown."""
        withdrawing.withdraw(self._ledger)
        self._listed.clear()

    def end(self) -> None:
        """Let what is shown stay, as it is part of the finished output."""
        remove(self._ledger)
        self._listed.clear()

    def _list(self, name: str, file: Path) -> None:
        self._note()
        mark = withdrawing.mark_of(file.lstat())
        withdrawing.add(self._ledger, name, mark)
        self._listed.setdefault(str(PurePosixPath(name)), set()).add(mark)

    def _note(self) -> None:
        if self._is_noted:
            return
        if not self._target.exists():
            self._journal.note_folder(self._target)
            self._target.mkdir()
        self._journal.note_shown(self._ledger)
        self._is_noted = True
