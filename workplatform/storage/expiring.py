"""Expiring outputs: what a job has made below DATA_DIR goes when the job is removed, unless it is not that any more.

A ledger for each such job, in a folder of DATA_DIR, lists its files before they are at their places, each with what
makes it this very file. So a crash at any moment leaves nothing unlisted, and what a later job, or a person, has put in
a file's place is not removed with it.
"""

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from workplatform.storage import withdrawing
from workplatform.storage.output import LocalOutput
from workplatform.storage.paths import expiring_ledgers


@dataclass(frozen=True, slots=True)
class Expiring:
    """The ledger of one job."""

    data_dir: Path
    job_id: str

    def note(self, output: LocalOutput) -> None:
        """List the files of an output that is about to be at its place, as far as that is below DATA_DIR."""
        root = self.data_dir.resolve()
        if not output.target.is_relative_to(root):
            return
        self._ledger.parent.mkdir(parents=True, exist_ok=True)
        place = output.target.relative_to(root)
        for name in output.made() if output.is_directory else [Path()]:
            withdrawing.add(self._ledger, (place / name).as_posix(), withdrawing.mark_of((output.path / name).lstat()))

    def places(self) -> list[Path]:
        """Return the files that are listed and still there as they were made."""
        root = self.data_dir.resolve()
        listed = withdrawing.listed(self._ledger)
        return [root / name for name, marks in listed.items() if withdrawing.is_one_of(root / name, marks)]

    def is_used(self, used: Set[Path]) -> bool:
        """Whether one of the files, or a folder that it is in, is among those that somebody uses."""
        return any(not used.isdisjoint((place, *place.parents)) for place in self.places())

    def remove(self) -> None:
        """Remove the files, the folders that are empty then, and the ledger."""
        withdrawing.withdraw(self._ledger, target=self.data_dir.resolve(), spares=self.data_dir.resolve() / "files")

    @property
    def _ledger(self) -> Path:
        return expiring_ledgers(self.data_dir) / self.job_id
