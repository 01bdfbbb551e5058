"""The folder beside a project's: its lock, its journal, its store of commits, its caches."""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from workers._deploy_models import DeployPayload
from workplatform.context import JobContext
from workplatform.errors import BadInputError

_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a project is deployed, and the folder of ours beside it: on the same disk, so that renames suffice."""

    directory: Path

    @property
    def state(self) -> Path:
        """Our folder."""
        return self.directory.with_name(f".{self.directory.name}.deploy")

    @property
    def repository(self) -> Path:
        """The bare repository that commits are fetched into."""
        return self.state / "repo.git"

    @property
    def home(self) -> Path:
        """The HOME of the project's builds: what they cache there outlives them."""
        return self.state / "home"

    @property
    def snapshot(self) -> Path:
        """Copies of what a build may change and git does not know."""
        return self.state / "snapshot"

    @property
    def unfinished(self) -> Path:
        """Copies of what the working copy's git has of work that is not committed."""
        return self.state / "unfinished"

    @property
    def journal(self) -> "Journal":
        """What is under way, if something is."""
        return Journal(self.state / "journal.json")

    @property
    def built(self) -> "Journal":
        """What the last build left in the folder."""
        return Journal(self.state / "built.json")

    def prepare(self) -> None:
        """Make our folder, for us alone: it has private code in it."""
        try:
            self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.home.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise BadInputError(f"{self.state} cannot be made: {(error.strerror or str(error)).lower()}") from error

    @contextmanager
    def locked(self, watch: Callable[[], None], *, on_wait: Callable[[], None]) -> Iterator[None]:
        """Keep every other attempt out, a frozen one of the same job too; asks `watch` while it waits.

        The kernel drops the lock when this process ends, however it ends.
        """
        fd = os.open(self.state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            is_first = True
            while not _has_locked(fd):
                if is_first:
                    on_wait()
                is_first = False
                watch()
                time.sleep(_LOOK_S)
            yield
        finally:
            os.close(fd)


@dataclass(frozen=True, slots=True)
class Journal:
    """A JSON document that is there as a whole or not at all, also after a power cut."""

    path: Path

    def read(self) -> dict[str, Any] | None:
        """Return the document; None if there is none. Raises BadInputError for one that something else wrote."""
        try:
            document = json.loads(self.path.read_text("utf-8", "surrogateescape"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise BadInputError(
                f"{self.path} is damaged, though no deploy leaves it so; see to the project's folder, then remove it"
            ) from error
        return document if isinstance(document, dict) else None

    def write(self, document: dict[str, Any]) -> None:
        """Replace the document."""
        beside = self.path.with_suffix(".new")
        with beside.open("w", encoding="utf-8", errors="surrogateescape") as file:
            json.dump(document, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)
        sync_folder(self.path.parent)

    def close(self) -> None:
        """Remove the document."""
        self.path.unlink(missing_ok=True)
        sync_folder(self.path.parent)


def by_whom(job: JobContext, payload: DeployPayload) -> dict[str, Any]:
    """Return what a journal has of the attempt that writes it."""
    asked = hashlib.sha256(payload.model_dump_json().encode()).hexdigest()
    return {"job": job.id, "attempt": job.attempt, "asked": asked}


def was_by(journal: Mapping[str, Any], job: JobContext, payload: DeployPayload) -> bool:
    """Whether a journal is of an earlier attempt of this job, that was asked for the same.

    If it did that, and the worker died or was stopped before the job had ended, only its result is left to tell.
    """
    mine = by_whom(job, payload)
    return all(journal.get(name) == mine[name] for name in ("job", "asked"))


def is_told_at_once(journal: Mapping[str, Any], job: JobContext, payload: DeployPayload) -> bool:
    """Whether nothing has to be fetched before the result of `was_by` is told.

    Somebody who retries a job that has ended, which begins at its first attempt again, wants what the branch is now.
    An attempt that its worker's stop has ended has no number of its own either.
    """
    return payload.rollback or int(journal["attempt"]) < job.attempt


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there; a folder without rights to it gets them first."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    path.chmod(0o700)
    for folder, names, _ in os.walk(path):
        for inner in (Path(folder, name) for name in names):
            if not inner.is_symlink():
                inner.chmod(0o700)  # before the walk looks into it
    shutil.rmtree(path)


def _has_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
