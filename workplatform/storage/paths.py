"""Which paths jobs may use: the roots, after every link is resolved."""

import stat
from collections.abc import Iterable
from pathlib import Path

from workplatform.errors import BadInputError, InputNotFoundError, PathForbiddenError
from workplatform.settings import Settings


def roots_of(settings: Settings) -> "Roots":
    """Return the path guard that the settings describe; the platform's own folders are out of bounds."""
    data = settings.data_dir
    own = (settings.run_dir, data / "valkey", data / "work", expiring_ledgers(data), settings.partial_dir)
    return Roots(settings.roots, base=settings.allowed_roots[0], reserved=own)


def expiring_ledgers(data_dir: Path) -> Path:
    """Return where it is listed what expires with its job."""
    return data_dir / "expiring"


class Roots:
    """The folders that jobs may read and write, and the platform's own folders inside them that they may not.

    A relative path is taken below `base`.
    """

    def __init__(self, roots: Iterable[Path], *, base: Path, reserved: Iterable[Path]) -> None:
        self._roots = tuple(root.resolve() for root in roots)
        self._reserved = tuple(path.resolve() for path in reserved)
        self._base = base

    def input(self, uri: str) -> Path:
        """Return the file to read; raises InputNotFoundError, BadInputError or PathForbiddenError."""
        path = self._inside(uri)
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputNotFoundError(f"there is no file {uri}") from error
        except OSError as error:
            raise BadInputError(f"{uri} cannot be read: {error.strerror}") from error
        if stat.S_ISDIR(mode):
            raise BadInputError(f"{uri} is a folder, a file is needed")
        if not stat.S_ISREG(mode):
            raise BadInputError(f"{uri} is not an ordinary file")
        return path

    def output(self, uri: str) -> Path:
        """Return the path to write; raises PathForbiddenError."""
        path = self._inside(uri)
        if path in self._roots:
            raise BadInputError(f"{uri} names a whole root; name a file or folder inside it")
        return path

    def is_folder(self, uri: str) -> bool:
        """Whether there is a folder of this name, be it a root; raises PathForbiddenError, BadInputError."""
        path = self._inside(uri)
        try:
            return path.is_dir()
        except OSError as error:
            raise BadInputError(f"{uri} cannot be used: {error.strerror}") from error

    def _inside(self, uri: str) -> Path:
        if not uri or "\0" in uri:
            raise BadInputError("the path is empty or holds a zero byte")
        if "://" in uri:
            raise PathForbiddenError(f"{uri.split('://', 1)[0]}:// is not supported here; give a path")
        try:
            path = (self._base / uri).resolve()
        except (OSError, RuntimeError) as error:
            raise BadInputError(f"{uri} cannot be resolved: {error}") from error
        if any(path.is_relative_to(own) for own in self._reserved) or not any(
            path.is_relative_to(root) for root in self._roots
        ):
            raise PathForbiddenError(
                f"{uri} is outside the folders that jobs may use (ALLOWED_ROOTS): "
                + ", ".join(str(root) for root in self._roots)
            )
        return path
