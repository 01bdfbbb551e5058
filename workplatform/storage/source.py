"""Sources: values that a child process opens to read an input, a local file as it is, a remote one by ranges."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import requests

from workplatform.errors import SourceFailedError
from workplatform.outbound import Outbound
from workplatform.ports import Source
from workplatform.sockets import Watch
from workplatform.storage.answers import byte_range, is_plain, refusal, validator_of
from workplatform.storage.ranges import FIRST_BYTES, RangeReader, Version
from workplatform.storage.remote import BROKEN, TIMEOUTS_S, Patience, unreachable
from workplatform.storage.uris import shown

_TRIES: Final = 3
_PAUSE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A file on this node's disk."""

    path: Path

    def open(self) -> BinaryIO:
        """Open the file."""
        return self.path.open("rb")


@dataclass(frozen=True, slots=True)
class RemoteSource:
    """A file behind a URL whose server gives parts of it.

    `condition` has every request fail, or answered in another way, if the file is not the one that `size` and `head`,
    its first bytes, are of. The hosts are those that the job's own requests may go to.
    """

    url: str = field(repr=False)
    name: str
    version: Version
    head: bytes = field(repr=False)
    allowed_hosts: tuple[str, ...]
    allow_loopback: bool

    def open(self) -> RangeReader:
        """Open the file; nothing is fetched before it is read."""
        outbound = Outbound(allowed_hosts=self.allowed_hosts, allow_loopback=self.allow_loopback)
        return RangeReader(self.url, self.version, self.head, outbound, name=self.name)


def remote_source(url: str, *, outbound: Outbound, watch: Watch, etag: str = "", name: str = "") -> RemoteSource | None:
    """Look at what `url` gives and return it as a source; None if it has to be fetched whole.

    Errors call it `name`, where the URL is not what its user knows. `etag`, if it is known already, has to be that of
    every answer. Raises the errors of a server that refuses.
    """
    patience = Patience(watch)
    name = name or shown(url)
    with outbound.session(watch=patience.look) as session:
        for number in range(1, _TRIES + 1):
            patience.renew()
            try:
                return _looked_at(url, name, session, outbound, {"If-Match": etag} if etag else {})
            except SourceFailedError:
                if number == _TRIES:
                    raise
            except BROKEN as error:
                if number == _TRIES:
                    raise unreachable(name, error) from error
            patience.pause(_PAUSE_S * 2**number)
    return None


def _looked_at(
    url: str, name: str, session: requests.Session, outbound: Outbound, condition: dict[str, str]
) -> RemoteSource | None:
    headers = {"Accept-Encoding": "identity", "Range": f"bytes=0-{FIRST_BYTES - 1}", **condition}
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUTS_S) as response:
        if response.status_code not in (200, 206, 416):
            raise refusal(response, name)
        found = byte_range(response)
        if response.status_code != 206 or found is None or found.start or not is_plain(response):
            return None
        # A server may give more than it was asked for; that could be everything.
        head = response.raw.read(min(found.end, FIRST_BYTES))
        validator = validator_of(response)
        condition = condition or ({"If-Range": validator} if validator else {})
        version = Version(found.total, response.headers.get("ETag", ""), condition)
        return RemoteSource(url, name, version, head, outbound.allowed_hosts, outbound.allow_loopback)


@contextmanager
def opened(source: Source | Path) -> Iterator[Path | RangeReader]:
    """Give what can be read: the path of a local file, or a reader of a remote one.

    Raises what reading ran into, whatever the library that read has made of it.
    """
    if isinstance(source, Path):
        yield source
    elif isinstance(source, LocalSource):
        yield source.path
    elif isinstance(source, RemoteSource):
        with source.open() as reader:
            try:
                yield reader
            finally:
                reader.check()
    else:
        raise TypeError(f"{type(source).__name__} is no source")
