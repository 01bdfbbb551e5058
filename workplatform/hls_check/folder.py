"""The folder that is checked: what URIs name in it, and that none of them leads out of it."""

import os
import stat
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from workplatform.hls_check.findings import Findings, Place
from workplatform.hls_check.media import ByteRange

# Real playlists of a day have some megabytes.
_LARGEST_PLAYLIST_BYTES = 50_000_000
# No system opens longer ones, and following their parts costs time.
_LONGEST_NAME = 4096


class Folder:
    """Resolves the URIs of playlists; only regular files below `root` are ever opened."""

    def __init__(self, root: Path, findings: Findings) -> None:
        self.root = root.resolve()
        self._findings = findings

    def find(self, uri: str, place: Place) -> Path | None:
        """Return the file that a URI of a playlist names; tells of one that is missing or not to be opened."""
        if self.is_remote(uri):
            self._findings.add("uri-not-local", place, f"{_shown(uri)} is not looked at")
            return None
        parts = urlsplit(uri)
        name = unquote(parts.path)
        if not name or "\0" in name or len(name) > _LONGEST_NAME:
            self._findings.add("file-missing", place, f"{_shown(uri)} names no file")
            return None
        path = self._resolved(PurePosixPath(place.file).parent / name)
        if path is None:
            self._findings.add("uri-leaves-folder", place, f"{_shown(uri)} is not opened")
            return None
        return path if self._is_good(path, uri, place) else None

    def _resolved(self, name: PurePosixPath) -> Path | None:
        """Follow links; None if that ends outside of the folder, or nowhere."""
        try:
            path = (self.root / name).resolve()
        except (OSError, RuntimeError):  # a circle of links
            return None
        return path if not name.is_absolute() and path.is_relative_to(self.root) else None

    def _is_good(self, path: Path, uri: str, place: Place) -> bool:
        try:
            status = path.stat()
        except OSError as error:
            self._findings.add("file-missing", place, f"{_shown(uri)} cannot be opened: {error.strerror}")
            return False
        if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK):
            self._findings.add("file-missing", place, f"{_shown(uri)} is no file that can be read")
        elif not status.st_size:
            self._findings.add("file-empty", place, f"{_shown(uri)} has no bytes")
        else:
            return True
        return False

    @staticmethod
    def is_remote(uri: str) -> bool:
        """Whether a URI is one of the net, or holds its data itself."""
        try:
            parts = urlsplit(uri)
        except ValueError:
            return True
        return bool(parts.scheme or parts.netloc)

    def name_of(self, path: Path) -> str:
        """Return a file's name from the folder."""
        return path.relative_to(self.root).as_posix()

    def read_playlist(self, path: Path, place: Place) -> bytes | None:
        """Return the bytes of a playlist of bearable size."""
        if path.stat().st_size > _LARGEST_PLAYLIST_BYTES:
            self._findings.add("playlist-size", place, f"{self.name_of(path)} is larger than 50 MB")
            return None
        return path.read_bytes()

    def covers(self, path: Path, part: ByteRange, place: Place) -> bool:
        """Whether a byte range lies in its file; tells if not."""
        size = path.stat().st_size
        if part.length and part.offset + part.length <= size:
            return True
        told = f"{part.length}@{part.offset} is not within the {size} bytes of {self.name_of(path)}"
        self._findings.add("byterange-outside", place, told)
        return False


def _shown(uri: str) -> str:
    return uri if len(uri) <= 120 else f"{uri[:120]}..."
