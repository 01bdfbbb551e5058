"""Inputs, outputs and scratch space of one attempt, on local disks."""

import errno
from dataclasses import dataclass, field
from pathlib import Path

from workplatform.errors import BadInputError, EncoderError, JobError, NoSpaceError
from workplatform.storage.journal import Journal, remove
from workplatform.storage.paths import Roots


@dataclass(slots=True)
class LocalOutput:
    """An output on its way: written at `path`, renamed to `target` by commit()."""

    uri: str
    path: Path
    target: Path
    is_directory: bool
    last: str | None

    def check(self) -> None:
        """Raise EncoderError if the handler has written nothing."""
        if not (any(self.path.iterdir()) if self.is_directory else self.path.is_file()):
            raise EncoderError(f"nothing was written for {self.uri}")

    def commit(self) -> None:
        """Make the output visible; a file in one step, a folder entry by entry with `last` at the end."""
        if not self.is_directory:
            self.path.replace(self.target)
            return
        if not self.target.exists():
            self.path.replace(self.target)
            return
        if self.last:
            remove(self.target / self.last)
        for entry in sorted(self.path.iterdir(), key=lambda entry: entry.name == self.last):
            place = self.target / entry.name
            if place.is_dir():
                remove(place)
            entry.replace(place)
        self.path.rmdir()


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

    def output(self, uri: str, *, directory: bool, last: str | None) -> LocalOutput:
        """Plan an output beside its target."""
        target = self.roots.output(uri)
        if target.exists() and target.is_dir() != directory:
            wanted, there = ("folder", "file") if directory else ("file", "folder")
            raise BadInputError(f"{uri} is a {there}; this job writes a {wanted}")
        name = f".{self.journal.job_id}.{self.journal.fence}.{len(self._outputs)}.part"
        output = LocalOutput(uri, target.with_name(name), target, directory, last)
        self._note(output.path)
        try:
            self._make_parents(target.parent)
            if directory:
                output.path.mkdir()
        except OSError as error:
            raise write_error(uri, error) from error
        self._outputs.append(output)
        return output

    @property
    def workdir(self) -> Path:
        """The attempt's scratch folder."""
        folder = self.workspace / f"{self.journal.job_id}.{self.journal.fence}"
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

    def _make_parents(self, folder: Path) -> None:
        missing: list[Path] = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
            self._made_parents.append(parent)


def write_error(uri: str, error: OSError) -> JobError:
    """Say in a sentence why something could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError(f"no space left for {uri}")
    return BadInputError(f"{uri} cannot be written: {error.strerror or error}")
