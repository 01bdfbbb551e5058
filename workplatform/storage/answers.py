"""What the head of an HTTP answer says about the file behind it."""

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import requests

from workplatform.clock import CLOCK
from workplatform.errors import JobError, RetryLater, SourceFailedError, SourceRefusedError
from workplatform.storage.uris import shown

_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_LATER: Final = frozenset({429, 503})
_PASSING: Final = frozenset({408, 425, 429})
_LONGEST_DELAY_S: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The part of a file in an answer: from `start` up to `end`, which is not in it any more, of `total` bytes."""

    start: int
    end: int
    total: int


def byte_range(response: requests.Response) -> ByteRange | None:
    """Read Content-Range (RFC 9110, 14.4); None if it is missing, senseless, or does not say the whole length."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if found is None:
        return None
    start, last, total = map(int, found.groups())
    return ByteRange(start, last + 1, total) if start <= last < total else None


def is_plain(response: requests.Response) -> bool:
    """Whether the body is the file's own bytes, not compressed on the way."""
    return response.headers.get("Content-Encoding", "identity").strip().lower() in ("", "identity")


def length_of(response: requests.Response) -> int | None:
    """Return how many bytes the whole file has, if the answer says."""
    text = response.headers.get("Content-Length", "")
    return int(text) if _LENGTH.fullmatch(text) and is_plain(response) else None


def validator_of(response: requests.Response) -> str:
    """Return what names this very version of the file in If-Range (RFC 9110, 13.1.5): a strong ETag, or its date."""
    etag: str = response.headers.get("ETag", "")
    if not is_plain(response):
        return ""
    if etag:
        return etag if etag.startswith('"') else ""
    return str(response.headers.get("Last-Modified", ""))


def refusal(response: requests.Response, url: str) -> JobError:
    """Return the error that a status means; RetryLater where the server says when it will be better."""
    status = response.status_code
    sentence = f"{shown(url)}: the server answered {status} {response.reason or ''}".rstrip()
    if status in _LATER and (delay_s := _delay_s(response.headers.get("Retry-After", ""))) is not None:
        return RetryLater(sentence, delay_s=delay_s)
    if status >= 500 or status in _PASSING:
        return SourceFailedError(sentence)
    return SourceRefusedError(sentence)


def _delay_s(text: str) -> float | None:
    """Read Retry-After (RFC 9110, 10.2.3): seconds or a date."""
    if _LENGTH.fullmatch(text.strip()):
        return min(float(text), _LONGEST_DELAY_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - CLOCK.now()).total_seconds(), 0.0), _LONGEST_DELAY_S)
