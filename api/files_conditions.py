"""Conditions and ranges of requests for files, as RFC 9110 (sections 13 and 14) evaluates them."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from werkzeug.http import http_date, parse_date, parse_etags

from api.problems import RequestError

GetHeader = Callable[[str], str | None]

_RANGE: Final = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE | re.ASCII)
_CONTENT_RANGE: Final = re.compile(r"bytes\s+(?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18})", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes `first` to `last`, both within."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes it spans."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Piece:
    """What a request brings of a file of `total` bytes: a range of it, or nothing, which asks how much is there."""

    range: Range | None
    total: int


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one content of a file from another: strong, since each is a file of its own, put there whole."""

    etag: str
    modified_s: int

    @property
    def last_modified(self) -> str:
        """The moment as HTTP writes it."""
        return http_date(self.modified_s)


def version_of(facts: os.stat_result) -> Version:
    """Return the version of a file."""
    return Version(f"{facts.st_ino:x}-{facts.st_size:x}-{facts.st_mtime_ns:x}", int(facts.st_mtime))


def is_unchanged(header: GetHeader, version: Version) -> bool:
    """Whether a reader already has this version; raises RequestError (412) if it must be another one."""
    check_writable(header, version, is_read=True)
    if (known := header("If-None-Match")) is not None:
        etags = parse_etags(known)
        return etags.star_tag or etags.contains_weak(version.etag)
    since = _date(header("If-Modified-Since"))
    return since is not None and version.modified_s <= since.timestamp()


def check_writable(header: GetHeader, version: Version | None, *, is_read: bool = False) -> None:
    """Raise RequestError (412) if the request is for another version than the one that is there, None if none is."""
    if (wanted := header("If-Match")) is not None:
        etags = parse_etags(wanted)
        if version is None or not (etags.star_tag or etags.contains(version.etag)):
            raise _failed("If-Match", "the file is another one now" if version else "there is no such file")
    elif version and (before := _date(header("If-Unmodified-Since"))) and version.modified_s > before.timestamp():
        raise _failed("If-Unmodified-Since", "the file has been changed since")
    if is_read or version is None or (unwanted := header("If-None-Match")) is None:
        return
    etags = parse_etags(unwanted)
    if etags.star_tag or etags.contains_weak(version.etag):
        raise _failed("If-None-Match", "there is such a file already")


def wanted_range(header: GetHeader, version: Version, size: int) -> Range | None:
    """Return the bytes that a reader asks for, None for all; raises RequestError (416).

    Several ranges in one request, and what is not understood, are answered with the whole, as section 14.2 allows.
    """
    asked = _RANGE.fullmatch(header("Range") or "")
    if not asked or asked[1] == asked[2] == "" or not _is_same(header("If-Range"), version):
        return None
    first, last = asked[1], asked[2]
    if first and last and int(first) > int(last):
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start >= size or (not first and int(last) == 0):
        raise RequestError(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"the file has {size} bytes",
            headers=(("Content-Range", f"bytes */{size}"),),
        )
    return Range(start, end)


def sent_piece(header: GetHeader, length: int | None) -> Piece | None:
    """Return what a write brings by its Content-Range, None if it brings a whole file; raises RequestError (400).

    `length` is the Content-Length.
    """
    text = header("Content-Range")
    if text is None:
        return None
    found = _CONTENT_RANGE.fullmatch(text.strip())
    if not found:
        raise _bad_content_range("must be `bytes FIRST-LAST/TOTAL`, or `bytes */TOTAL` to ask how much is there")
    total = int(found[3])
    if found[1] is None:
        return Piece(None, total)
    part = Range(int(found[1]), int(found[2]))
    if not part.first <= part.last < total:
        raise _bad_content_range("is no range of a file of that size")
    if length is not None and length != part.length:
        raise _bad_content_range(f"spans {part.length} bytes, Content-Length says {length}")
    return Piece(part, total)


def _is_same(condition: str | None, version: Version) -> bool:
    """Evaluate If-Range: an entity tag by the strong comparison, or the very date."""
    if condition is None:
        return True
    if '"' in condition:
        return parse_etags(condition).contains(version.etag)
    date = _date(condition)
    return date is not None and int(date.timestamp()) == version.modified_s


def _date(text: str | None) -> datetime | None:
    """Read a date; None for what is none, be it beyond all calendars."""
    try:
        return parse_date(text)
    except OverflowError:
        return None


def _failed(name: str, detail: str) -> RequestError:
    problem = {"pointer": f"/{name}", "header": name, "detail": detail}
    return RequestError(HTTPStatus.PRECONDITION_FAILED, f"{name}: {detail}", problems=[problem])


def _bad_content_range(detail: str) -> RequestError:
    problem = {"pointer": "/Content-Range", "header": "Content-Range", "detail": detail}
    return RequestError(HTTPStatus.BAD_REQUEST, f"Content-Range: {detail}", code="bad_header", problems=[problem])
