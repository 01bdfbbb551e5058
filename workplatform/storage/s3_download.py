"""Fetching an object to disk: in parts, several at a time, each checked to be of the same version of the object."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final

from workplatform.errors import InputNotFoundError
from workplatform.sockets import Watch
from workplatform.storage.lanes import LANES, Lanes
from workplatform.storage.local import write_error
from workplatform.storage.s3 import S3, Lane
from workplatform.storage.uris import S3Place

PART_BYTES: Final = 8 << 20
# What is fetched is written block by block, so a large object can be asked for in larger parts: some stores take long
# to find the start of each.
_LARGE_PART_BYTES: Final = 64 << 20
_READ_BYTES: Final = 256 << 10

# Told of the bytes there are and of all; called from several threads, one at a time.
Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Found:
    """An object in a store: how large, which version, since when."""

    size: int
    etag: str
    modified: datetime | None


def look_up(lane: Lane, place: S3Place) -> Found:
    """Describe an object; raises InputNotFoundError, or StorageRefusedError if its bucket is missing or forbidden."""
    try:
        head = lane.call("head_object", place)
    except InputNotFoundError:
        # A HEAD request's answer has no body to tell a missing bucket from a missing object.
        with suppress(InputNotFoundError):
            lane.ask_bucket("list_objects_v2", place, MaxKeys=1)
        raise
    return Found(int(head["ContentLength"]), str(head.get("ETag", "")), head.get("LastModified"))


def download(s3: S3, place: S3Place, found: Found, target: Path, *, watch: Watch, tell: Tell) -> None:
    """Write the object to `target`, whose time follows the object's.

    Raises StorageError if it changes meanwhile, NoSpaceError.
    """
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        job = _Download(place, found, fd, tell)
        starts = range(0, found.size, job.part_bytes)
        if len(starts) <= 1:
            with s3.lane(watch) as lane:
                for start in starts:
                    job.fetch(lane, start)
        else:
            with Lanes(s3, watch) as lanes:
                lanes.each(job.fetch, starts)
        stamp = found.modified.timestamp() if found.modified else 0
        os.utime(fd, (stamp, stamp))
    finally:
        os.close(fd)


class _Download:
    """One object on its way to one open file."""

    def __init__(self, place: S3Place, found: Found, fd: int, tell: Tell) -> None:
        self._place = place
        self._found = found
        self._fd = fd
        self._tell = tell
        self._lock = Lock()
        self._done = 0
        self.part_bytes = PART_BYTES if found.size < LANES * _LARGE_PART_BYTES else _LARGE_PART_BYTES

    def fetch(self, lane: Lane, start: int) -> None:
        """Fetch a part; what arrived before a break is kept."""
        place, end = start, min(start + self.part_bytes, self._found.size)

        def step() -> None:
            nonlocal place
            condition = {"IfMatch": self._found.etag} if self._found.etag else {}
            answer = lane.ask("get_object", self._place, Range=f"bytes={place}-{end - 1}", **condition)
            for block in _blocks(answer["Body"], end - place):
                self._write(block, place)
                place += len(block)
                lane.renew()

        lane.repeated(self._place, step)

    def _write(self, block: bytes, place: int) -> None:
        try:
            os.pwrite(self._fd, block, place)
        except OSError as error:  # translated here: further out it would look like a broken connection
            raise write_error(self._place.uri, error) from error
        with self._lock:
            self._done += len(block)
            self._tell(self._done, self._found.size)


def _blocks(body: Any, length: int) -> Iterator[bytes]:
    """Yield a body of that many bytes; raises an error that can pass if it ends early, however it is framed."""
    left = length
    with body:
        while left > 0:
            block = body.read(min(left, _READ_BYTES))
            if not block:
                raise ConnectionError(f"{left} bytes are missing")
            left -= len(block)
            yield block
