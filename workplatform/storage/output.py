"""An output on a local disk: written beside its target, and made visible in one step."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workplatform.errors import BadInputError, EncoderError, LeaseLostError
from workplatform.storage import keeping
from workplatform.storage.journal import Journal, is_resumable, ledger_beside, note_beside, remove
from workplatform.storage.resuming import Hold, begin, take_over
from workplatform.storage.showing import Shown


@dataclass(slots=True, eq=False)
class LocalOutput:
    """An output on its way: written at `path`, renamed to `target` by commit().

    A folder is merged into one that is there: files of the same name are replaced, files that match `owned` (patterns
    of what the job type itself makes) and were not made again are removed, everything else stays. `hold` keeps other
    attempts of the job from going on with the file while this one may write it.
    """

    uri: str
    path: Path
    target: Path
    is_directory: bool
    last: str | None
    owned: tuple[str, ...] = ()
    hold: Hold | None = None
    shown: Shown | None = None

    @property
    def note(self) -> Path:
        """Where the handler notes what the bytes of a resumable output are part of."""
        return note_beside(self.path)

    @property
    def ledger(self) -> Path:
        """Where the finished files of a resumable folder are named."""
        return ledger_beside(self.path)

    def make(self, journal: Journal, watch: Callable[[], None], *, spare: Path) -> None:
        """Make the temporary: empty, with time zero until it is written, or with what an earlier attempt left.

        `spare` is a name of the attempt's own that is used for a moment.
        """
        if self.is_directory:
            self.path.mkdir()
            if is_resumable(self.path):
                keeping.take_over(journal, self.target, spare, watch)
                self.shown = Shown(journal, self.target, self.path)
        elif is_resumable(self.path):
            self.hold = take_over(journal, self.target, watch) or begin(self.path)
        else:
            self.path.touch(exist_ok=False)
            os.utime(self.path, (0, 0))

    def finish(self, _name: str) -> None:
        """Do nothing: files stay where they are until all are complete."""

    def keep(self, name: str) -> None:
        """Let a later attempt have a file of a folder."""
        if self.is_directory and is_resumable(self.path):
            try:
                keeping.keep(self.path, name)
            except FileNotFoundError as error:
                raise (error if self.path.is_dir() else LeaseLostError()) from error

    def may_show(self) -> bool:
        """Whether a file may be shown: nothing that an earlier job made is at the target."""
        if self.shown is None:
            return False
        patterns = (*self.owned, self.last) if self.last else self.owned
        there = {place.relative_to(self.target) for pattern in patterns for place in self.target.glob(pattern)}
        return all(self.shown.has(str(name)) for name in there)

    def show(self, name: str) -> None:
        """Make a finished file of a folder visible before the others."""
        if self.shown is None:
            raise ValueError("only a folder that can be resumed is shown early")
        try:
            self._check_entry(Path(name))
            self.shown.show(name)
        except FileExistsError as error:
            raise BadInputError(f"{self.uri}/{name} was made by somebody else meanwhile") from error
        except FileNotFoundError as error:
            raise LeaseLostError from error

    def withdraw(self) -> None:
        """Remove what is shown."""
        if self.shown is not None:
            self.shown.withdraw()

    def check(self) -> None:
        """Raise EncoderError if the handler has written nothing."""
        if not (any(self.path.iterdir()) if self.is_directory else self._is_written()):
            raise EncoderError(f"nothing was written for {self.uri}")

    def check_place(self) -> None:
        """Raise BadInputError if something stands in the way at the target; nothing is changed by then."""
        if not self.is_directory:
            if self.target.is_dir():
                raise BadInputError(f"{self.uri} is a folder; this job writes a file")
            return
        if not self.target.exists():
            return
        if not self.target.is_dir():
            raise BadInputError(f"{self.uri} is a file; this job writes a folder")
        for name in self.made():
            self._check_entry(name)

    def commit(self) -> None:
        """Make the output visible; a file in one step, a folder file by file with `last` at the end."""
        if not self.is_directory or not self.target.exists():
            self.path.replace(self.target)
        else:
            self._merge()
        self.let_go()
        self._remove_note()

    def drop(self) -> None:
        """Remove what was written."""
        self.let_go()
        remove(self.path)
        self._remove_note()

    def let_go(self) -> None:
        """Let a later attempt go on with the file: this one writes no more."""
        if self.hold is not None:
            self.hold.release()
            self.hold = None

    def _remove_note(self) -> None:
        if is_resumable(self.path):
            remove(self.note)
            remove(self.ledger)

    def _merge(self) -> None:
        if self.last and not self._is_shown(Path(self.last)):
            (self.target / self.last).unlink(missing_ok=True)
        made = self.made()
        for stale in {place for pattern in self.owned for place in self.target.glob(pattern)}:
            if stale.relative_to(self.target) not in made and (stale.is_symlink() or not stale.is_dir()):
                stale.unlink(missing_ok=True)
        # What is shown lists other files, and is replaced when these are there.
        for name in sorted(made, key=lambda name: (str(name) == self.last, self._is_shown(name))):
            if str(name) == self.last:
                self._end_showing()
            (self.target / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).replace(self.target / name)
        self._end_showing()
        remove(self.path)

    def _is_shown(self, name: Path) -> bool:
        return self.shown is not None and self.shown.has(name.as_posix())

    def _end_showing(self) -> None:
        if self.shown is not None:
            self.shown.end()

    def made(self) -> list[Path]:
        """Return the files of a folder that were written, by their names in it."""
        return sorted(entry.relative_to(self.path) for entry in self.path.rglob("*") if not entry.is_dir())

    def _check_entry(self, name: Path) -> None:
        place = self.target / name
        if place.is_dir() and not place.is_symlink():
            raise BadInputError(f"{self.uri}/{name} is a folder; this job writes a file there")
        for parent in list(name.parents)[:-1]:
            folder = self.target / parent
            # A link could lead out of the folders that jobs may use.
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                kind = "link" if folder.is_symlink() else "file"
                raise BadInputError(f"{self.uri}/{parent} is a {kind}; this job writes a folder there")

    def _is_written(self) -> bool:
        return self.path.is_file() and self.path.stat().st_mtime_ns != 0
