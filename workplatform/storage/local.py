"""Inputs, outputs and scratch space of one attempt, on local disks."""

import errno
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Final

from workplatform.context import Output
from workplatform.errors import BadInputError, JobError, NoSpaceError
from workplatform.shortage import is_out_of_space
from workplatform.storage.expiring import Expiring
from workplatform.storage.journal import Journal, is_resumable, remove
from workplatform.storage.output import LocalOutput
from workplatform.storage.paths import Roots
from workplatform.storage.space import Limits, Usage, usage
from workplatform.store.records import CommittedOutput

_TRIES: Final = 10


def _never() -> None:
    """Have no reason to stop."""


@dataclass(slots=True)
class LocalFiles:
    """What one attempt reads and writes; safe to use from several threads.

    `workspace` is the folder in which attempts get scratch folders. `watch` is asked during what takes long, and raises
    what ends the attempt. Nothing is begun on a disk that has less room left than `limits` want. What is made visible
    is listed in `expiring`, if it is to go with the job.
    """

    roots: Roots
    journal: Journal
    workspace: Path
    watch: Callable[[], None] = _never
    limits: Limits = field(default_factory=Limits)
    expiring: Expiring | None = None
    _outputs: list[LocalOutput] = field(default_factory=list)
    _committed: dict[str, CommittedOutput] = field(default_factory=dict)
    _staged: list[LocalOutput] = field(default_factory=list)
    _planned: Iterator[int] = field(default_factory=count)
    _lock: RLock = field(default_factory=RLock)
    _has_left_traces: bool = False

    def input(self, uri: str) -> Path:
        """Return the file to read."""
        return self.roots.input(uri)

    def is_folder(self, uri: str) -> bool:
        """Whether a folder is there."""
        return self.roots.is_folder(uri)

    def output(
        self, uri: str, *, directory: bool, last: str | None, owned: tuple[str, ...], resume: bool = False
    ) -> LocalOutput:
        """Plan an output beside its target."""
        target = self.roots.output(uri)
        try:
            is_other_kind = target.exists() and target.is_dir() != directory
        except OSError as error:
            raise write_error(uri, error) from error
        if is_other_kind:
            wanted, there = ("folder", "file") if directory else ("file", "folder")
            raise BadInputError(f"{uri} is a {there}; this job writes a {wanted}")
        with self._lock:
            path = self._temporary(target, resume=resume)
            output = LocalOutput(uri, path, target, directory, last, owned)
            self._outputs.append(output)
        try:
            self.limits.require_room(target.parent)
            self._note_paths(output)
            self._make_in_its_folder(output)
        except OSError as error:
            raise write_error(uri, error) from error
        return output

    def stage(
        self, uri: str, *, directory: bool, last: str | None, owned: tuple[str, ...], resume: bool
    ) -> LocalOutput:
        """Make a place on this node to write what is to go elsewhere; bringing it there is its owner's task."""
        target = self.workspace / hashlib.sha256(uri.encode("utf-8", "replace")).hexdigest()[:16]
        with self._lock:
            output = LocalOutput(uri, self._temporary(target, resume=resume), target, directory, last, owned)
            self._staged.append(output)
        try:
            self.limits.require_room(self.workspace)
            self._note_paths(output)
            self.workspace.mkdir(parents=True, exist_ok=True)
            self._make(output)
        except OSError as error:
            raise write_error(uri, error) from error
        return output

    @property
    def workdir(self) -> Path:
        """The attempt's scratch folder."""
        folder = self.workspace / self.journal.scratch
        with self._lock:
            if not folder.is_dir():
                self.limits.require_room(self.workspace)
                self._note(folder)
                folder.mkdir(parents=True)
        return folder

    @property
    def has_outputs(self) -> bool:
        """Whether an output was planned that is not committed yet."""
        return bool(self._outputs)

    def require_room(self) -> None:
        """Raise NoSpaceError if a disk that the attempt uses has less room left than it has to."""
        for folder in {self.workspace, *(output.path.parent for output in list(self._outputs))}:
            self.limits.require_room(folder)

    def usage(self) -> list[Usage]:
        """Return what is on disk and not committed yet; may be asked from any thread."""
        if not self._has_left_traces:
            return []
        with self._lock:
            paths = [output.path for output in (*self._outputs, *self._staged)]
        return usage([*paths, self.workspace / self.journal.scratch])

    @property
    def committed(self) -> list[CommittedOutput]:
        """What was made visible, in order."""
        return list(self._committed.values())

    def check(self) -> None:
        """Raise if a planned output is missing, or something stands in its way."""
        for output in self._outputs:
            output.check()
            _check_place(output)

    def commit(self) -> None:
        """Make every output visible."""
        for output in list(self._outputs):
            self._commit(output)

    def publish(self, output: Output) -> None:
        """Make one output visible."""
        planned = self._own(output)
        planned.check()
        _check_place(planned)
        self._commit(planned)

    def drop(self, output: Output) -> None:
        """Forget one output, and remove what was written."""
        planned = self._own(output)
        with self._lock:
            self._outputs.remove(planned)
        planned.drop()

    def let_go(self) -> None:
        """Leave resumable files to the next attempt: nobody writes any more."""
        for output in self._outputs:
            output.let_go()

    def discard(self, *, keep: bool = False) -> None:
        """Remove whatever is not committed: temporaries, scratch, folders made for nothing.

        With `keep`, what another attempt may go on with stays.
        """
        self.let_go()
        if not self._has_left_traces:
            return
        # Of an attempt that was taken for dead, the journal was swept, and it may have written on.
        may_keep = keep and self.journal.file.exists()
        self.journal.clear(keep=keep)
        for output in (*self._outputs, *self._staged):
            if not (may_keep and is_resumable(output.path)):
                remove(output.path)

    def _own(self, output: Output) -> LocalOutput:
        with self._lock:
            for planned in self._outputs:
                if planned is output:
                    return planned
        raise ValueError(f"{output.uri} is not planned, or not any more")

    def _commit(self, output: LocalOutput) -> None:
        try:
            if self.expiring is not None:
                self.expiring.note(output)
            output.commit()
        except OSError as error:
            raise write_error(output.uri, error) from error
        with self._lock:
            self._outputs.remove(output)
            self._committed[output.uri] = {"uri": output.uri, "directory": output.is_directory}

    def _temporary(self, target: Path, *, resume: bool) -> Path:
        """Return where to write; of two resumable outputs for one target, the second is an ordinary one."""
        if resume:
            kept = target.with_name(self.journal.kept(target))
            if not any(output.path == kept for output in (*self._outputs, *self._staged)):
                return kept
        return target.with_name(self.journal.temporary(next(self._planned)))

    def _make(self, output: LocalOutput) -> None:
        spare = output.path.with_name(self.journal.temporary(next(self._planned)))
        if output.is_directory and is_resumable(output.path):
            self._note(spare)
        output.make(self.journal, self.watch, spare=spare)

    def _note_paths(self, output: LocalOutput) -> None:
        self._note(output.path)
        if is_resumable(output.path):
            self._note(output.note)
        if is_resumable(output.path) and output.is_directory:
            self._note(output.ledger)

    def _note(self, path: Path) -> None:
        self._has_left_traces = True
        self.journal.note(path)

    def _make_in_its_folder(self, output: LocalOutput) -> None:
        """Make the temporary, whose presence keeps its folder; a neighbour may remove an empty folder before that."""
        for _ in range(_TRIES):
            self._make_parents(output.target.parent)
            try:
                self._make(output)
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
            self._has_left_traces = True
            self.journal.note_folder(parent)


def _check_place(output: LocalOutput) -> None:
    try:
        output.check_place()
    except OSError as error:
        raise write_error(output.uri, error) from error


def write_error(uri: str, error: OSError) -> JobError:
    """Say in a sentence why something could not be written."""
    if is_out_of_space(error):
        return NoSpaceError(f"no space left for {uri}")
    return BadInputError(f"{uri} cannot be written: {(error.strerror or str(error)).lower()}")
