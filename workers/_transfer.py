"""One file from a server to the disk, over as many connections as it takes."""

import re
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Final, ParamSpec, Protocol

import requests

from workers._asking import Wanted, ask, failure, host_of
from workers._body import BrokenOffError, Framed, body_length, coding_of, open_body
from workers._file_names import offered_name
from workers._pace import Pace, amount
from workers._pages import HEAD_BYTES, needs_more, require_kind
from workers._partial import Partial, version_of
from workers._patience import Patience
from workers._pipes import pipe_of
from workplatform.context import JobContext, Output
from workplatform.errors import ChecksumError, SourceUnreachableError, TooLargeError, UnexpectedContentError

P = ParamSpec("P")
_BUFFER_BYTES: Final = 256 * 1024
# Written when the buffer has less room than this left: a short read costs as much as a long one.
_ROOM_BYTES: Final = 128 * 1024
_PIPE_BYTES: Final = 1 << 20
# For redirects, headers and the first bytes together, and for each further piece of the file: a server may drip any of
# them for ever, or send what adds nothing to the file, such as trailers and empty blocks of gzip.
_ANSWER_S: Final = 45.0
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_GZIP_NAMES: Final = frozenset({".gz", ".tgz", ".svgz"})


class OtherVersionError(Exception):
    """What the server gives is not the rest of what is there."""


class Observer(Protocol):
    """Who follows a transfer."""

    def check(self) -> None:
        """Raise the reason to stop, if there is one."""

    def stage(self, name: str) -> None:
        """Take note of what happens now."""

    def moved(self) -> None:
        """Look at the pace; called about twice a second."""


@dataclass(frozen=True, slots=True)
class Demands:
    """What the file must be: its SHA-256 in hexadecimal, its largest size, a pattern of its media type."""

    sha256: str | None = None
    max_bytes: int | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that is there; `resumed` counts the bytes that an earlier attempt had left."""

    output: Output
    size: int
    kind: str
    resumed: int


class Transfer:
    """Fetches one file into `place`, or into the output that it gives for the name that the server offers.

    A connection that breaks is followed by another that asks for the rest, as long as that brings the file on. Bytes
    of two versions never meet: If-Range and the version noted beside the file see to it, and where a server tells no
    version, an overlap that is compared.
    """

    def __init__(
        self,
        job: JobContext,
        wanted: Wanted,
        *,
        demands: Demands,
        pace: Pace,
        observer: Observer,
        place: Output | Callable[[str], Output],
    ) -> None:
        self._job = job
        self._wanted = wanted
        self._demands = demands
        self._pace = pace
        self._observer = observer
        self._place = place
        self._patience = Patience(host_of(wanted.url), observer.check)
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._answer_due = float("inf")
        self._partial: Partial | None = None
        self._kind = ""
        self._last_modified = ""

    def run(self) -> Arrived:
        """Fetch the file; raises errors of a job. What arrived before an error stays for another attempt."""
        try:
            with self._job.http(watch=self._look) as session:
                if not callable(self._place):
                    self._open(self._place)
                while (complete := self._use_a_connection(session)) is None:
                    pass
            return self._finish(complete)
        finally:
            if self._partial is not None:
                self._partial.close()

    def _look(self) -> None:
        """Stop waiting where the attempt has to end, or a server sends nothing of the file for too long."""
        self._observer.check()
        if time.monotonic() > self._answer_due:
            raise TimeoutError("no answer in time")

    def _open(self, output: Output) -> Partial:
        with_digest = self._demands.sha256 is not None
        self._partial = Partial(output, url=self._wanted.url, with_digest=with_digest)
        self._pace.have = self._partial.have
        return self._partial

    def _use_a_connection(self, session: requests.Session) -> Partial | None:
        """Fetch what one connection gives; returns the file if it is complete."""
        self._observer.stage("connecting")
        before = self._partial.have if self._partial else 0
        ranged = self._partial.range_headers() if self._partial else {}
        self._answer_due = time.monotonic() + _ANSWER_S
        try:
            with closing(ask(session, self._wanted, ranged)) as answer:
                return self._take(answer, is_ranged=bool(ranged))
        except SourceUnreachableError as error:
            if not before:
                raise
            self._patience.spend(before, error.message)
        except OtherVersionError:
            self._start_over()
        except BrokenOffError as error:
            self._pace.count(0)
            self._patience.spend(self._partial.have if self._partial else 0, str(error))
        return None

    def _start_over(self) -> None:
        self._patience.restart()
        if self._partial is not None:
            self._partial.start_over(None)
            self._pace.have = 0

    def _take(self, answer: requests.Response, *, is_ranged: bool) -> Partial | None:
        partial = self._partial
        if partial and is_ranged and answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise OtherVersionError
        if error := failure(answer):
            raise error
        if answer.status_code == HTTPStatus.PARTIAL_CONTENT:
            if partial is None or not is_ranged:
                raise UnexpectedContentError(f"{host_of(answer.url)} sent a part of the file; all of it was asked for")
            return self._continue(answer, partial)
        if callable(self._place) and partial is None:
            partial = self._open(self._place(offered_name(answer)))
            return None if partial.have else self._begin(answer, partial)
        if partial is not None and partial.have:
            self._patience.restart()
        return None if partial is None else self._begin(answer, partial)

    def _begin(self, answer: requests.Response, partial: Partial) -> Partial:
        """Take a whole file from its first byte on; what is there goes only when the new one is known to be right."""
        coding = coding_of(answer)
        if PurePosixPath(partial.name).suffix.lower() in _GZIP_NAMES:
            coding = ""  # the file itself is gzip, and its server says so twice
        total = None if coding else body_length(answer)
        self._require_size(total or 0)
        partial.require_space(total or 0)
        body = open_body(answer, coding=coding, length=total)
        filled = self._read_head(body)
        said = answer.headers.get("Content-Type", "")
        self._kind = require_kind(
            bytes(self._buffer[:filled]), said=said, expected=self._demands.kind, name=partial.name
        )
        self._last_modified = answer.headers.get("Last-Modified", "")
        partial.start_over(None if coding else version_of(answer, total=total, kind=self._kind))
        self._pace.total = total
        self._copy(body, partial, filled)
        self._require_no_more(answer, body)
        return partial

    def _continue(self, answer: requests.Response, partial: Partial) -> Partial | None:
        """Take the rest of a file, if it is the rest of this one; returns it if it is complete."""
        part = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
        if part is None or partial.version is None or coding_of(answer):
            raise OtherVersionError
        start, end = int(part[1]), int(part[2])
        version = version_of(answer, total=None if part[3] == "*" else int(part[3]), kind="")
        total = version.total or partial.version.total
        length = body_length(answer)
        is_rest = start == partial.resume_at and start <= end and (total is None or end < total)
        if not is_rest or not partial.version.may_be(version) or length not in (None, end - start + 1):
            raise OtherVersionError
        if not partial.is_compared and partial.version.validator != version.validator:
            partial.is_compared = True  # the server does not say of which version this is: ask with an overlap
            return None
        self._kind, self._last_modified = partial.version.kind, partial.version.last_modified
        self._pace.total = total
        self._require_size(total or 0)
        body = open_body(answer, coding="", length=end - start + 1)
        if not self._is_same_overlap(body, partial.overlap(start)):
            raise OtherVersionError
        self._copy(body, partial, 0)
        if partial.have != end + 1:
            raise OtherVersionError
        self._require_no_more(answer, body)
        return partial if total is None or partial.have == total else None

    def _read_head(self, body: Framed) -> int:
        """Read enough to tell what it is; returns how many bytes of the buffer are filled."""
        filled = 0
        try:
            while filled < HEAD_BYTES and needs_more(bytes(self._buffer[:filled])):
                count = body.readinto(self._buffer[filled:HEAD_BYTES])
                if count == 0:
                    break
                filled += count
                self._pace.count(count)
        except BrokenOffError:
            if not filled:
                raise
        return filled

    def _is_same_overlap(self, body: Framed, there: bytes) -> bool:
        filled = 0
        while filled < len(there):
            count = body.readinto(self._buffer[filled : len(there)])
            if count == 0:
                return False
            filled += count
        return self._buffer[:filled] == there

    def _copy(self, body: Framed, partial: Partial, filled: int) -> None:
        """Write the filled part of the buffer, and the body to its end or to where it breaks off."""
        self._observer.stage("downloading")
        buffer, pace = self._buffer, self._pace
        try:
            while count := self._due(body.readinto, buffer[filled:]):
                filled += count
                is_time, may_splice = pace.count(count), body.can_splice
                if is_time or may_splice or filled > _BUFFER_BYTES - _ROOM_BYTES:
                    size, filled = filled, 0
                    self._write(partial, size)
                if is_time:
                    self._observer.moved()
                if may_splice:
                    self._splice(body, partial)
        finally:
            if filled:
                self._write(partial, filled)
        self._observer.moved()

    def _splice(self, body: Framed, partial: Partial) -> None:
        """Have the kernel move the body's rest to the file, half the work of copying it through this process."""
        with pipe_of(_PIPE_BYTES) as (out, into):
            while count := self._due(body.splice, into, _PIPE_BYTES):
                self._require_size(partial.have + count)
                partial.take(out, count)
                self._pace.have += count
                if self._pace.count(count):
                    self._observer.moved()

    def _due(self, read: Callable[P, int], *args: P.args, **kwargs: P.kwargs) -> int:
        self._answer_due = time.monotonic() + _ANSWER_S
        return read(*args, **kwargs)

    def _write(self, partial: Partial, size: int) -> None:
        self._require_size(partial.have + size)
        partial.append(self._buffer[:size])
        self._pace.have = partial.have

    def _require_size(self, size: int) -> None:
        most = self._demands.max_bytes
        if most is not None and size > most:
            raise TooLargeError(f"the file has more than the {amount(most)} that maxBytes allows")

    def _require_no_more(self, answer: requests.Response, body: Framed) -> None:
        if body.has_more():
            raise UnexpectedContentError(f"{host_of(answer.url)} sent more bytes than the Content-Length says")

    def _finish(self, partial: Partial) -> Arrived:
        if self._demands.sha256 is not None:
            self._observer.stage("verifying")
            digest = partial.digest()
            if digest != self._demands.sha256:
                partial.start_over(None)
                raise ChecksumError(f"the SHA-256 of what arrived is {digest}, not {self._demands.sha256}")
        partial.finish(self._last_modified)
        return Arrived(partial.output, partial.have, self._kind, partial.found)
