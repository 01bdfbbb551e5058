"""A folder as a tree of files: opened, walked and changed by name, and no link in it is ever followed."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from api.files_names import Parts

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# a pipe that somebody put there must not hold the opener
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a tree."""

    parts: Parts
    facts: os.stat_result

    @property
    def name(self) -> str:
        """The name with its folders."""
        return "/".join(self.parts)


@dataclass(frozen=True, slots=True)
class Tree:
    """The files below one folder. Whatever the names are, nothing outside is reached."""

    folder: Path

    def open(self, parts: Parts) -> FileIO:
        """Open an ordinary file for reading; raises FileNotFoundError for anything else."""
        try:
            with self._inner(parts[:-1]) as folder:
                file = FileIO(os.open(parts[-1], _FILE, dir_fd=folder), "rb")
        except OSError as error:
            raise FileNotFoundError(error.errno, "no such file") from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise FileNotFoundError("not an ordinary file")
        return file

    def facts(self, parts: Parts) -> os.stat_result | None:
        """Return what is known of an ordinary file; None if there is none."""
        try:
            with self._inner(parts[:-1]) as folder:
                facts = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        except OSError:
            return None
        return facts if stat.S_ISREG(facts.st_mode) else None

    def kinds(self, parts: Parts) -> list[str]:
        """Return what stands at each step of a name: `folder`, `file` (or anything else), `none`."""
        found: list[str] = []
        for depth in range(1, len(parts) + 1):
            try:
                with self._inner(parts[: depth - 1]) as folder:
                    mode = os.stat(parts[depth - 1], dir_fd=folder, follow_symlinks=False).st_mode
            except OSError:
                found.append("none")
            else:
                found.append("folder" if stat.S_ISDIR(mode) else "file")
        return found

    def place(self, temporary: Path, parts: Parts, *, only_new: bool = False) -> None:
        """Move a file of this file system to its name in one step; raises OSError, FileExistsError if `only_new`.

        Missing folders are made. One that is empty may be removed by a neighbour before the file is in it.
        """
        for left in reversed(range(_TRIES)):
            try:
                with self._inner(parts[:-1], make=True) as folder:
                    if only_new:
                        os.link(temporary, parts[-1], dst_dir_fd=folder)
                        temporary.unlink()
                    else:
                        os.rename(temporary, parts[-1], dst_dir_fd=folder)
            except FileNotFoundError:
                if not left:
                    raise
            else:
                return

    def remove(self, parts: Parts) -> None:
        """Remove a file, and the folders that are empty without it; raises OSError."""
        with self._inner(parts[:-1]) as folder:
            os.unlink(parts[-1], dir_fd=folder)
        with suppress(OSError):
            for depth in range(len(parts) - 1, 0, -1):
                with self._inner(parts[: depth - 1]) as folder:
                    os.rmdir(parts[depth - 1], dir_fd=folder)

    def walk(self, after: Parts = ()) -> Iterator[Entry]:
        """Yield the files named after the given one, folder by folder in order; dotted names are left out."""
        with suppress(FileNotFoundError), self._inner(()) as folder:
            yield from _walk(folder, (), after)

    @contextmanager
    def _inner(self, parts: Parts, *, make: bool = False) -> Iterator[int]:
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=folder)
                inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)


def _walk(folder: int, above: Parts, after: Parts) -> Iterator[Entry]:
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        place = (*above, entry.name)
        if entry.name.startswith(".") or place < after[: len(place)]:
            continue
        with suppress(FileNotFoundError, NotADirectoryError):  # gone, or another thing, in the meantime
            if entry.is_dir(follow_symlinks=False):
                inner = os.open(entry.name, _FOLDER, dir_fd=folder)
                try:
                    yield from _walk(inner, place, after)
                finally:
                    os.close(inner)
            elif entry.is_file(follow_symlinks=False) and place > after:
                yield Entry(place, os.stat(entry.name, dir_fd=folder, follow_symlinks=False))
