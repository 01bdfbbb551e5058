"""The partial file of a download: what is there, of which version of the original, and how to ask for the rest."""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from errno import EINVAL
from pathlib import PurePosixPath
from typing import Any, Final

import requests

from workers._answers import http_date
from workplatform.context import Output
from workplatform.errors import NoSpaceError
from workplatform.shortage import is_out_of_space

# Compared with what is there where the server names no version of its file.
_OVERLAP_BYTES: Final = 4096
_REREAD_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Version:
    """One state of the original, as far as its server tells; `total` counts its bytes, `kind` is its media type."""

    etag: str = ""
    last_modified: str = ""
    total: int | None = None
    kind: str = ""

    @property
    def validator(self) -> str:
        """What If-Range may name (RFC 9110, 13.1.5: no weak tag); empty for nothing."""
        return self.etag if self.etag.startswith('"') else self.last_modified

    def may_be(self, other: "Version") -> bool:
        """Whether another answer can be of the same state."""
        pairs = ((self.etag, other.etag), (self.last_modified, other.last_modified), (self.total, other.total))
        return all(mine == theirs for mine, theirs in pairs if mine and theirs)


def version_of(answer: requests.Response, *, total: int | None, kind: str) -> Version:
    """Return the version that an answer brings."""
    return Version(answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""), total, kind)


class Partial:
    """The file being written, with a note beside it that says what its bytes are part of.

    The note is written before the first byte and names a version; bytes without one are of no use to anybody. With
    `is_compared` the rest is asked for with an overlap, even if the version has a name.
    """

    def __init__(self, output: Output, *, url: str, with_digest: bool) -> None:
        self.output = output
        self.name = PurePosixPath(output.uri).name
        self._note = output.note
        self._key = hashlib.sha256(url.encode()).hexdigest()
        self._with_digest = with_digest
        self._hash = hashlib.sha256()
        self._file = os.open(output.path, os.O_RDWR | os.O_CLOEXEC)
        self.version = self._noted()
        self.have = os.lseek(self._file, 0, os.SEEK_END)
        self.found = 0
        self.is_compared = False
        if self.version is None or (self.version.total is not None and self.have > self.version.total):
            self.start_over(None)
        else:
            self.found = self.have
            self._hash_from(0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def range_headers(self) -> dict[str, str]:
        """Return what asks for the rest; empty if all is wanted."""
        if not self.have or self.version is None:
            return {}
        headers = {"Range": f"bytes={self.resume_at}-"}
        if self.version.validator:
            headers["If-Range"] = self.version.validator
        return headers

    def overlap(self, start: int) -> bytes:
        """Return what is there from `start` on: the server's bytes have to be the same."""
        return os.pread(self._file, self.have - start, start)

    def start_over(self, version: Version | None) -> None:
        """Forget what is there; None for a version that cannot be resumed."""
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self.have = 0
        self.version = version
        self._hash = hashlib.sha256()
        if version is None:
            self._note.unlink(missing_ok=True)
        else:
            self._note.write_text(json.dumps({"url": self._key, **asdict(version)}))

    def append(self, data: memoryview) -> None:
        """Write at the end. Raises NoSpaceError."""
        if self._with_digest:
            self._hash.update(data)
        with _lack_of_space_told(self):
            while data:
                written = os.write(self._file, data)
                self.have += written
                data = data[written:]

    def take(self, pipe: int, count: int) -> None:
        """Have the kernel move bytes from a pipe to the end. Raises NoSpaceError."""
        start = self.have
        with _lack_of_space_told(self):
            while count:
                try:
                    moved = os.splice(pipe, self._file, count)
                except OSError as error:
                    if error.errno != EINVAL:  # a file system that cannot
                        raise
                    moved = self._copied(os.read(pipe, count))
                self.have += moved
                count -= moved
        self._hash_from(start)

    def _copied(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        return len(data)

    def require_space(self, total: int) -> None:
        """Raise NoSpaceError if the rest of a file of that size does not fit on the disk."""
        disk = os.fstatvfs(self._file)
        free = disk.f_bavail * disk.f_frsize
        if total - self.have > free:
            raise NoSpaceError(f"the file has {total} bytes, the disk {free} left")

    def digest(self) -> str:
        """Return the SHA-256 of all that is there, in hexadecimal."""
        return self._hash.hexdigest()

    def finish(self, last_modified: str) -> None:
        """Give the file the time of the original, a Last-Modified header; without one, now."""
        moment = http_date(last_modified)
        now = time.time()
        # Zero is how the platform marks a file that nobody has written.
        os.utime(self._file, (now, now if moment is None else max(1.0, min(now, moment.timestamp()))))

    @property
    def resume_at(self) -> int:
        """The first byte to ask for."""
        if self.version and self.version.total == self.have:
            return self.have - 1
        if self.version and self.version.validator and not self.is_compared:
            return self.have
        return self.have - min(_OVERLAP_BYTES, self.have // 2)

    def _noted(self) -> Version | None:
        with suppress(OSError, ValueError, TypeError, AttributeError):
            noted: Mapping[str, Any] = json.loads(self._note.read_text())
            if noted["url"] == self._key:
                return Version(**{name: value for name, value in noted.items() if name != "url"})
        return None

    def _hash_from(self, start: int) -> None:
        """Hash what is there from `start` on; what was just written comes from memory."""
        if self._with_digest:
            for place in range(start, self.have, _REREAD_BYTES):
                self._hash.update(os.pread(self._file, min(_REREAD_BYTES, self.have - place), place))


@contextmanager
def _lack_of_space_told(partial: Partial) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_out_of_space(error):
            raise NoSpaceError(f"no space left after {partial.have} bytes") from error
        raise
