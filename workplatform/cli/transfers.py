"""Files on their way to the platform and back, over connections that may break."""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import quote

import requests

from workplatform.cli.client import ApiClient, ApiError, Document, UnreachableError
from workplatform.cli.errors import CommandError

Tell = Callable[[int], None]

_BLOCK_BYTES = 256 * 1024
_PAGE = 1000
_TRIES_IN_VAIN = 8
_PAUSE_S = 0.5
_PASSING = {"busy", "short_body"}  # the platform has not noticed yet that the connection broke, or has just noticed
_BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, UnreachableError)


class Patience:
    """Bounds how often something may fail in a row without getting any further."""

    def __init__(self) -> None:
        self._in_vain = 0
        self._reached = -1

    def lost(self, reached: int, error: Exception) -> None:
        """Wait for a moment after a failure; raises UnreachableError if it was one too many."""
        self._in_vain = 1 if reached > self._reached else self._in_vain + 1
        self._reached = max(self._reached, reached)
        if self._in_vain >= _TRIES_IN_VAIN:
            raise UnreachableError(f"the connection broke {_TRIES_IN_VAIN} times in a row: {error}") from None
        time.sleep(_PAUSE_S * self._in_vain)


def upload(client: ApiClient, path: Path, name: str, tell: Tell) -> Document:
    """Send a file under a name, going on where a connection broke; `tell` hears of bytes as they leave.

    Raises CommandError for a file that cannot be read, ApiError, UnreachableError.
    """
    try:
        with path.open("rb") as file:
            total = file.seek(0, 2)
            return _upload(client, file, f"/files/{quote(name)}", total, tell)
    except OSError as error:
        if isinstance(error, requests.RequestException):
            raise
        raise CommandError(f"{path} cannot be read: {error.strerror or error}", 2) from None


def _upload(client: ApiClient, file: IO[bytes], url: str, total: int, tell: Tell) -> Document:
    if total == 0:
        document: Document = client.send(url, b"", {}).json()
        return document
    digest = base64.b64encode(_digest(file)).decode()
    headers = {"Repr-Digest": f"sha-256=:{digest}:"}
    held, patience = 0, Patience()
    while True:
        try:
            body = _Rest(file, held, total, tell)
            answer = client.send(url, body, {**headers, "Content-Range": f"bytes {held}-{total - 1}/{total}"})
            if answer.status_code != HTTPStatus.PERMANENT_REDIRECT:
                done: Document = answer.json()
                return done
            held = int(answer.json()["received"])
        except (*_BROKEN, ApiError) as error:
            if isinstance(error, ApiError) and error.code not in _PASSING:
                raise
            patience.lost(held, error)
            held = _held(client, url, total, headers, held)


def _held(client: ApiClient, url: str, total: int, headers: dict[str, str], guess: int) -> int:
    """Ask how much has arrived; a platform that does not answer will be asked again."""
    try:
        answer = client.send(url, b"", {**headers, "Content-Range": f"bytes */{total}"})
        return int(answer.json()["received"])
    except (*_BROKEN, ApiError):
        return guess


class _Rest:
    """What is left of a file, as requests reads it."""

    def __init__(self, file: IO[bytes], start: int, end: int, tell: Tell) -> None:
        self._file = file
        self._length = end - start
        self._tell = tell
        file.seek(start)

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = -1) -> bytes:
        """Read the next bytes."""
        data = self._file.read(max(size, _BLOCK_BYTES) if size > 0 else size)
        self._tell(len(data))
        return data


def outputs(client: ApiClient, job_id: str) -> Iterator[Document]:
    """Yield the files that a job has made."""
    cursor: str | None = ""
    while cursor is not None:
        page = client.outputs(job_id, limit=_PAGE, cursor=cursor or None)
        yield from page["files"]
        cursor = page["nextCursor"]


def target(folder: Path, name: str) -> Path:
    """Return where a file of that name goes; raises CommandError for one that would leave the folder."""
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\0" in name:
        raise CommandError(f"the platform names a file {name!r}, which would not stay in {folder}")
    return folder.joinpath(*parts)


def fetch(client: ApiClient, url: str, path: Path, tell: Tell) -> None:
    """Fetch a file, going on where a connection broke; it is at `path` once it is whole.

    Raises CommandError if it cannot be written, ApiError, UnreachableError.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                _fetch(client, url, file, tell)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        if isinstance(error, requests.RequestException):
            raise
        raise CommandError(f"{path} cannot be written: {error.strerror or error}") from None


def _fetch(client: ApiClient, url: str, file: IO[bytes], tell: Tell) -> None:
    etag, patience = "", Patience()
    while True:
        start = file.tell()
        headers = {"Range": f"bytes={start}-", "If-Range": etag} if start and etag else {}
        try:
            with client.stream(url, {"Accept-Encoding": "identity", **headers}) as response:
                if response.status_code != HTTPStatus.PARTIAL_CONTENT:
                    tell(-file.tell())
                    file.seek(0)
                    file.truncate()
                etag = response.headers.get("ETag", "")
                for block in response.iter_content(_BLOCK_BYTES):
                    file.write(block)
                    tell(len(block))
                return
        except _BROKEN as error:
            patience.lost(file.tell(), error)


def _digest(file: IO[bytes]) -> bytes:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type] # a binary file is what it takes
