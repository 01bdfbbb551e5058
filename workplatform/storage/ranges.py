"""Reading a remote file by ranges: a seekable file object that fetches what is read, and a little more."""

import io
from dataclasses import dataclass
from typing import Any, Final

import requests

from workplatform.errors import JobError, PlatformError, SourceFailedError
from workplatform.outbound import Outbound
from workplatform.sockets import no_watch
from workplatform.storage.answers import byte_range, refusal
from workplatform.storage.remote import BROKEN, TIMEOUTS_S, Patience, unreachable

# A jump costs a request of this size, so does the first look at a file. It is about what a fast line carries in the
# time of a round trip; an index or a group of pictures often fits in.
FIRST_BYTES: Final = 128 << 10
_LARGEST: Final = 1 << 20
# Sequential reading is followed by a window of half of what the run has brought, so at most a third, and 1 MB, is
# for nothing.
_RUN_SHARE: Final = 2
_KEPT_BYTES: Final = 32 << 20
_TRIES: Final = 4
_PAUSE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Version:
    """The very file that is read: `condition` is the header that asks for no other."""

    size: int
    etag: str
    condition: dict[str, str]


class RangeReader(io.RawIOBase):
    """A remote file; errors call it `name`. What was read is kept, up to 32 MB, the longest unused going first.

    Reading raises SourceFailedError if the file changes meanwhile, and the errors of a server that refuses, is silent
    or too slow. The first error is raised again by every later read and by check(): libraries swallow errors.
    """

    def __init__(self, url: str, version: Version, head: bytes, outbound: Outbound, *, name: str) -> None:
        super().__init__()
        self._url = url
        self._version = version
        self._patience = Patience(no_watch)
        self._session = outbound.session(watch=self._patience.look)
        self._blocks: dict[int, bytes] = {0: head} if head else {}
        self._position = 0
        self._run_start = 0
        self._run_end = len(head)
        self._failure: JobError | None = None
        self.name = name

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from anywhere."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place; costs nothing."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._version.size}[whence]
        if base + offset < 0:
            raise ValueError("before the start of the file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the place."""
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Read up to the end of what one block has."""
        self.check()
        room = memoryview(buffer).cast("B")
        if not room or self._position >= self._version.size:
            return 0
        start, block = self._held(self._position) or self._fetched(self._position)
        offset = self._position - start
        count = min(len(room), len(block) - offset)
        room[:count] = block[offset : offset + count]
        self._position += count
        return count

    def check(self) -> None:
        """Raise what reading has run into."""
        if self._failure is not None:
            raise self._failure.with_traceback(None)  # which would grow by each of a thousand reads

    def close(self) -> None:
        """Drop the connection and what was kept."""
        self._session.close()
        self._blocks.clear()
        super().close()

    def _held(self, position: int) -> tuple[int, bytes] | None:
        for start, block in self._blocks.items():
            if start <= position < start + len(block):
                self._blocks[start] = self._blocks.pop(start)  # the last one is the latest used
                return start, block
        return None

    def _fetched(self, position: int) -> tuple[int, bytes]:
        if position != self._run_end:
            self._run_start = position
        window = min(max(FIRST_BYTES, (position - self._run_start) // _RUN_SHARE), _LARGEST)
        following = [start for start in self._blocks if start > position]
        end = min([position + window, self._version.size, *following])
        try:
            block = self._ask(position, end)
        except JobError as error:
            self._failure = error
            raise
        self._run_end = position + len(block)
        self._blocks[position] = block
        self._forget()
        return position, block

    def _forget(self) -> None:
        held = sum(map(len, self._blocks.values()))
        for start in list(self._blocks)[:-1]:
            if held <= _KEPT_BYTES:
                break
            held -= len(self._blocks.pop(start))

    def _ask(self, start: int, end: int) -> bytes:
        for number in range(1, _TRIES + 1):
            try:
                return self._ask_once(start, end)
            except PlatformError as error:
                is_passing = isinstance(error, SourceFailedError) and not error.data.get("has_changed")
                if number == _TRIES or not is_passing:
                    raise
            except BROKEN as error:
                if number == _TRIES:
                    raise unreachable(self.name, error) from error
            self._patience.pause(_PAUSE_S * 2**number)
        raise SourceFailedError

    def _ask_once(self, start: int, end: int) -> bytes:
        self._patience.renew()
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={start}-{end - 1}", **self._version.condition}
        with self._session.get(self._url, headers=headers, stream=True, timeout=TIMEOUTS_S) as response:
            if response.status_code not in (200, 206, 412, 416):
                raise refusal(response, self.name)
            if not self._is_same(response, start):
                raise SourceFailedError(f"{self.name} changed while it was read", has_changed=True)
            block = bytes(response.raw.read(end - start))
            if not block:
                raise ConnectionError("no byte came")
            return block

    def _is_same(self, response: requests.Response, start: int) -> bool:
        found, etag = byte_range(response), response.headers.get("ETag", "")
        return (
            response.status_code == 206
            and found is not None
            and (found.start, found.total) == (start, self._version.size)
            and etag == self._version.etag
        )
