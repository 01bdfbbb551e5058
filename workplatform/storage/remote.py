"""Fetching a file from a URL to disk: whole, or not at all, and in bounded time whatever the server does."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, Final

import requests
import urllib3.exceptions

from workplatform.errors import JobError, NoSpaceError, SourceUnreachableError, TooLargeError, TooSlowError
from workplatform.outbound import Outbound, failure_reason
from workplatform.sockets import Watch, pause
from workplatform.storage.answers import byte_range, length_of, refusal, validator_of
from workplatform.storage.local import write_error
from workplatform.storage.uris import shown

Tell = Callable[[int, int | None], None]

TIMEOUTS_S: Final = (5.0, 30.0)
BROKEN: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_BLOCK_BYTES: Final = 128 << 10
# For the head of an answer, and for each block of its body: 2 KB a second.
_PATIENCE_S: Final = 60.0
# In a row, without a single byte that is new.
_TRIES: Final = 4
_PAUSE_S: Final = 0.2


class Patience:
    """The watch of one connection: ends what takes too long for the little that it brings."""

    def __init__(self, watch: Watch, limit_s: float = _PATIENCE_S) -> None:
        self._watch = watch
        self._limit_s = limit_s
        self.renew()

    def renew(self) -> None:
        """Begin to count anew: something has arrived, or something new was asked for."""
        self._until = time.monotonic() + self._limit_s

    def look(self) -> None:
        """Raise the reason to stop; TooSlowError if that is the server's doing."""
        self._watch()
        if time.monotonic() > self._until:
            raise TooSlowError(f"the server sent next to nothing for {self._limit_s:g} s")

    def pause(self, length_s: float) -> None:
        """Wait, unless there is a reason to stop."""
        pause(length_s, self._watch)


@dataclass(slots=True)
class _Progress:
    """What there is of a file: so many bytes of this version, of so many in all if the server says."""

    done: int = 0
    total: int | None = None
    validator: str = ""
    modified: str = ""


def fetch(url: str, target: Path, *, outbound: Outbound, watch: Watch, tell: Tell, most_bytes: int) -> None:
    """Write what `url` gives to `target`, whose time follows Last-Modified (0 without).

    A broken transfer goes on where it broke, if the server can tell that the file is still the same. Raises
    SourceRefusedError, SourceFailedError, SourceUnreachableError, TooSlowError, TooLargeError, NoSpaceError,
    UrlForbiddenError and RetryLater.
    """
    patience = Patience(watch)
    with outbound.session(watch=patience.look) as session, _writing(url, target) as file:
        _Fetch(url, session, file, patience=patience, tell=tell, most_bytes=most_bytes).run()


class _Fetch:
    """One file on its way."""

    def __init__(
        self,
        url: str,
        session: requests.Session,
        file: BinaryIO,
        *,
        patience: Patience,
        tell: Tell,
        most_bytes: int,
    ) -> None:
        self._url = url
        self._session = session
        self._file = file
        self._patience = patience
        self._tell = tell
        self._most_bytes = most_bytes
        self._have = _Progress()

    def run(self) -> None:
        """Fetch until everything is there, or nothing more comes."""
        tries = furthest = 0
        while True:
            try:
                self._fetch_on()
                break
            except BROKEN as error:
                tries = 1 if self._have.done > furthest else tries + 1
                furthest = max(furthest, self._have.done)
                if tries >= _TRIES or isinstance(error, requests.TooManyRedirects):
                    raise unreachable(self._url, error) from error
            self._patience.pause(_PAUSE_S * 2**tries)
        stamp = _stamp(self._have.modified)
        self._file.flush()
        os.utime(self._file.fileno(), (stamp, stamp))

    def _fetch_on(self) -> None:
        self._patience.renew()
        with self._session.get(self._url, headers=self._headers(), stream=True, timeout=TIMEOUTS_S) as response:
            self._accept(response)
            while block := response.raw.read(_BLOCK_BYTES, decode_content=True):
                self._patience.renew()
                self._write(block)
        if self._have.total not in (None, self._have.done):
            raise ConnectionError(f"{self._have.done} of {self._have.total} bytes came")

    def _headers(self) -> Mapping[str, str]:
        headers = {"Accept-Encoding": "identity"}
        if self._have.done and self._have.validator:
            headers |= {"Range": f"bytes={self._have.done}-", "If-Range": self._have.validator}
        return headers

    def _accept(self, response: requests.Response) -> None:
        """Go on with the file, or start over, as the server has answered."""
        if response.status_code in (206, 416) and self._have.done:
            self._require_rest(response)
            return
        if response.status_code != 200:
            raise refusal(response, self._url)
        modified = response.headers.get("Last-Modified", "")
        self._have = _Progress(0, length_of(response), validator_of(response), modified)
        self._file.seek(0)
        self._file.truncate()
        self._check_size(self._have.total or 0)
        free = shutil.disk_usage(os.fspath(self._file.name)).free
        if self._have.total and self._have.total > free:
            raise NoSpaceError(f"{shown(self._url)} has {self._have.total} bytes, and {free} are free")

    def _require_rest(self, response: requests.Response) -> None:
        """Raise, with nothing there any more, unless an answer is the rest of this very file."""
        found, have = byte_range(response), self._have
        is_rest = found is not None and found.start == have.done and have.total in (None, found.total)
        if not is_rest or validator_of(response) != have.validator:
            self._have = _Progress()
            raise ConnectionError("what came is not the rest of the file")

    def _write(self, block: bytes) -> None:
        self._check_size(self._have.done + len(block))
        try:
            self._file.write(block)
        except OSError as error:  # translated here: further out it would look like a broken connection
            raise write_error(shown(self._url), error) from error
        self._have.done += len(block)
        self._tell(self._have.done, self._have.total)

    def _check_size(self, size: int) -> None:
        if size > self._most_bytes:
            raise TooLargeError(f"{shown(self._url)} is larger than {self._most_bytes} bytes (MAX_INPUT_BYTES)")


def unreachable(url: str, error: Exception) -> JobError:
    """Say in a sentence why a URL gave nothing."""
    return SourceUnreachableError(f"{shown(url)}: {failure_reason(error)}")


@contextmanager
def _writing(url: str, target: Path) -> Iterator[BinaryIO]:
    try:
        file = target.open("wb", buffering=0)
    except OSError as error:
        raise write_error(shown(url), error) from error
    with file:
        yield file


def _stamp(modified: str) -> float:
    try:
        return parsedate_to_datetime(modified).timestamp()
    except (ValueError, OverflowError):
        return 0.0
