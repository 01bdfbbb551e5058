"""The folder of uploads: files are put there whole, and what is on its way is kept aside until then.

What is on its way lies aside, on the same file system, as a file that its writer holds locked: one that nobody holds
is a leftover. A resumable one is kept for a day after its last byte, any other goes at once.
"""

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Final

from gevent.lock import BoundedSemaphore

from api.files_conditions import Version, version_of
from api.files_names import Parts, bad_name
from api.files_pump import off_the_hub
from api.files_receiving import no_space, write_problem
from api.files_tree import Entry, Tree
from api.problems import RequestError
from workplatform.storage.space import Limits

_KEPT_S: Final = 24 * 3600.0
_SWEEP_EVERY_S: Final = 60.0
_PASSING: Final = ".tmp"
_RESUMABLE: Final = ".part"


@dataclass(frozen=True, slots=True)
class Temporary:
    """A file on its way, open and locked."""

    path: Path
    fd: int

    @property
    def size(self) -> int:
        """How many bytes are there."""
        return os.fstat(self.fd).st_size


class Uploads:
    """The folder."""

    def __init__(self, folder: Path, *, aside: Path, shown: str, limits: Limits) -> None:
        self.tree = Tree(folder)
        self._limits = limits
        self._shown = shown
        self._aside = aside
        self._swept_at = -_SWEEP_EVERY_S
        self._placing = BoundedSemaphore(1)

    def path(self, name: str = "") -> str:
        """Return what a payload calls a file of this folder."""
        return f"{self._shown}/{name}" if name else self._shown

    def version(self, parts: Parts) -> Version | None:
        """Return the version of a file that is there."""
        facts = self.tree.facts(parts)
        return version_of(facts) if facts else None

    def page(self, *, prefix: str, after: Parts, limit: int) -> list[Entry]:
        """Return the files whose name begins with `prefix`, in order."""
        found = (entry for entry in self.tree.walk(after) if entry.name.startswith(prefix))
        return off_the_hub(list, islice(found, limit))

    @contextmanager
    def passing(self) -> Iterator[Temporary]:
        """Give a file for the length of a `with` block; it is gone after that unless it was placed."""
        path = self._aside / f"{secrets.token_hex(16)}{_PASSING}"
        with self._opened(path) as temporary:
            try:
                yield temporary
            finally:
                path.unlink(missing_ok=True)

    @contextmanager
    def resumable(self, parts: Parts, *identity: object) -> Iterator[Temporary]:
        """Give the file that earlier requests for the same name and identity have begun; raises RequestError (409)."""
        path = self._aside / f"{_key(parts)}.{_key(identity)}{_RESUMABLE}"
        with self._opened(path) as temporary:
            try:
                yield temporary
            finally:
                if not temporary.size:
                    path.unlink(missing_ok=True)

    def place(self, temporary: Temporary, parts: Parts, check: Callable[[], None], *, only_new: bool) -> None:
        """Give a file its name, in one step; `check` is called right before and may raise."""
        with self._placing:
            check()
            try:
                off_the_hub(partial(self.tree.place, temporary.path, parts, only_new=only_new))
            except OSError as error:
                raise _refusal(error, "/".join(parts)) from error

    def remove(self, parts: Parts) -> bool:
        """Remove a file and what is on its way to its name; returns whether there was any."""
        begun = list(self._aside.glob(f"{_key(parts)}.*{_RESUMABLE}"))
        for path in begun:
            path.unlink(missing_ok=True)
        if self.tree.facts(parts) is None:
            return bool(begun)
        off_the_hub(self.tree.remove, parts)
        return True

    def require_place(self, parts: Parts) -> None:
        """Raise RequestError (409) if a file cannot have this name, before it is sent in vain."""
        kinds = self.tree.kinds(parts)
        if kinds[-1] == "folder":
            raise _refusal(IsADirectoryError(), "/".join(parts))
        if not set(kinds[:-1]) <= {"folder", "none"}:
            raise _refusal(NotADirectoryError(), "/".join(parts))

    def require_space(self, size: int | None) -> None:
        """Raise RequestError (507) if the disk has no room for so many bytes, beside those that have to stay free."""
        if (size or 0) > self._limits.spare_bytes(self.tree.folder):
            raise no_space()

    def watched(self, look: Callable[[memoryview | bytes], None]) -> Callable[[memoryview | bytes], None]:
        """Return `look` for what is being written, with the room left before each piece: several may fill the disk."""

        def watching(data: memoryview | bytes) -> None:
            self.require_space(0)
            look(data)

        return watching

    def prepare(self) -> None:
        """Make the folder, and remove what is left over in it, once in a while."""
        self._aside.mkdir(parents=True, exist_ok=True)
        if time.monotonic() - self._swept_at < _SWEEP_EVERY_S:
            return
        self._swept_at = time.monotonic()
        off_the_hub(self._sweep)

    def _sweep(self) -> None:
        for path in self._aside.iterdir():
            if path.suffix == _PASSING or (path.suffix == _RESUMABLE and _age_s(path) > _KEPT_S):
                _remove_unheld(path)

    @contextmanager
    def _opened(self, path: Path) -> Iterator[Temporary]:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise write_problem(error) from error
        try:
            if not _lock(fd) or not _is_still(fd, path):
                raise RequestError(HTTPStatus.CONFLICT, "another request is sending this file right now", code="busy")
            yield Temporary(path, fd)
        finally:
            off_the_hub(os.close, fd)  # the disk takes a while to free what has no name any more


def _refusal(error: OSError, name: str) -> Exception:
    if isinstance(error, FileExistsError):
        return RequestError(HTTPStatus.PRECONDITION_FAILED, "If-None-Match: there is such a file already")
    if isinstance(error, IsADirectoryError):
        return bad_name(f"{name!r} is a folder", status=HTTPStatus.CONFLICT)
    if isinstance(error, NotADirectoryError):
        return bad_name(f"a part of {name!r} is a file, not a folder", status=HTTPStatus.CONFLICT)
    return write_problem(error)


def _key(words: Iterable[object]) -> str:
    return hashlib.sha256("\0".join(map(str, words)).encode()).hexdigest()[:32]


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(fd: int, path: Path) -> bool:
    """Whether a file that was opened before it was locked still has its name."""
    try:
        return os.fstat(fd).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _remove_unheld(path: Path) -> None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if _lock(fd):
            path.unlink(missing_ok=True)
    finally:
        os.close(fd)
