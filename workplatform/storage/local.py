"""Inputs, outputs and scratch space of one attempt, on local disks."""

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from workplatform.errors import BadInputError, EncoderError, JobError, NoSpaceError, is_out_of_space
from workplatform.storage.journal import Journal, remove
from workplatform.storage.paths import Roots

_TRIES: Final = 10


@dataclass(slots=True)
class LocalOutput:
    """An output on its way: written at `path`, renamed to `target` by commit().

    A folder is merged into one that is there: files of the same name are replaced, files that match `owned` (patterns
    of what the job type itself makes) and were not made again are removed, everything else stays.
    """

    uri: str
    path: Path
    target: Path
    is_directory: bool
    last: str | None
    owned: tuple[str, ...] = ()

    def make(self) -> None:
        """Make the empty temporary; a file's time is zero until somebody writes it."""
        if self.is_directory:
            self.path.mkdir()
            return
        self.path.touch(exist_ok=False)
        os.utime(self.path, (0, 0))

    def check(self) -> None:
        """Raise EncoderError if the handler has written nothing."""
        if not (any(self.path.iterdir()) if self.is_directory else self._is_written()):
            raise EncoderError(f"nothing was written for {self.uri}")

    def commit(self) -> None:
        """Make the output visible; a file in one step, a folder file by file with `last` at the end."""
        if not self.is_directory or not self.target.exists():
            self.path.replace(self.target)
            return
        if self.last:
            (self.target / self.last).unlink(missing_ok=True)
        made = sorted(entry.relative_to(self.path) for entry in self.path.rglob("*") if entry.is_file())
        for stale in {place for pattern in self.owned for place in self.target.glob(pattern)}:
            if stale.relative_to(self.target) not in made:
                stale.unlink(missing_ok=True)
        for name in sorted(made, key=lambda name: str(name) == self.last):
            (self.target / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).replace(self.target / name)
        remove(self.path)

    def _is_written(self) -> bool:
        return self.path.is_file() and self.path.stat().st_mtime_ns != 0


@dataclass(slots=True)
class LocalFiles:
    """What one attempt reads and writes. `workspace` is the folder in which attempts get scratch folders."""

    roots: Roots
    journal: Journal
    workspace: Path
    _outputs: list[LocalOutput] = field(default_factory=list)
    _made_parents: list[Path] = field(default_factory=list)
    _has_left_traces: bool = False

    def input(self, uri: str) -> Path:
        """Return the file to read."""
        return self.roots.input(uri)

    def output(self, uri: str, *, directory: bool, last: str | None, owned: tuple[str, ...]) -> LocalOutput:
        """Plan an output beside its target."""
        target = self.roots.output(uri)
        try:
            is_other_kind = target.exists() and target.is_dir() != directory
        except OSError as error:
            raise write_error(uri, error) from error
        if is_other_kind:
            wanted, there = ("folder", "file") if directory else ("file", "folder")
            raise BadInputError(f"{uri} is a {there}; this job writes a {wanted}")
        path = target.with_name(self.journal.temporary(len(self._outputs)))
        output = LocalOutput(uri, path, target, directory, last, owned)
        self._note(path)
        try:
            self._make_in_its_folder(output)
        except OSError as error:
            raise write_error(uri, error) from error
        self._outputs.append(output)
        return output

    @property
    def workdir(self) -> Path:
        """The attempt's scratch folder."""
        folder = self.workspace / self.journal.scratch
        if not folder.is_dir():
            self._note(folder)
            folder.mkdir(parents=True)
        return folder

    @property
    def has_outputs(self) -> bool:
        """Whether an output was planned."""
        return bool(self._outputs)

    def check(self) -> None:
        """Raise if a planned output is missing."""
        for output in self._outputs:
            output.check()

    def commit(self) -> None:
        """Make every output visible."""
        for output in self._outputs:
            try:
                output.commit()
            except OSError as error:
                raise write_error(output.uri, error) from error
        self._made_parents.clear()

    def discard(self) -> None:
        """Remove whatever is not committed: temporaries, scratch, folders made for nothing."""
        if self._has_left_traces:
            self.journal.clear()
        for folder in reversed(self._made_parents):
            try:
                folder.rmdir()
            except OSError:
                break  # somebody else uses it

    def _note(self, path: Path) -> None:
        self._has_left_traces = True
        self.journal.note(path)

    def _make_in_its_folder(self, output: LocalOutput) -> None:
        """Make the temporary, whose presence keeps its folder; a neighbour may remove an empty folder before that."""
        for _ in range(_TRIES):
            self._make_parents(output.target.parent)
            try:
                output.make()
            except FileNotFoundError:
                continue
            return
        raise OSError(errno.ENOENT, "its folder keeps disappearing")

    def _make_parents(self, folder: Path) -> None:
        missing: list[Path] = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for parent in reversed(missing):
            try:
                parent.mkdir()
            except FileExistsError:
                continue  # a neighbour was faster, and it is the neighbour's to remove
            self._made_parents.append(parent)


def write_error(uri: str, error: OSError) -> JobError:
    """Say in a sentence why something could not be written."""
    if is_out_of_space(error):
        return NoSpaceError(f"no space left for {uri}")
    return BadInputError(f"{uri} cannot be written: {(error.strerror or str(error)).lower()}")
