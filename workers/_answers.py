"""What an answer over HTTP says besides its body: its status in words, and when to come back."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from workplatform.clock import CLOCK

_LONGEST_WAIT_S: Final = 3600.0


def status_phrase(status: int) -> str:
    """Return the reason that RFC 9110 gives for a status; empty for a status it does not know."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def http_date(value: str) -> datetime | None:
    """Read a date of a header (RFC 9110, 5.6.7); None if it is none."""
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def retry_after_s(value: str, *, longest_s: float = _LONGEST_WAIT_S) -> float | None:
    """Read a Retry-After header, seconds or a date (RFC 9110, 10.2.3); None if there is none that makes sense."""
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        wait_s = float(value)
    else:
        moment = http_date(value)
        if moment is None:
            return None
        wait_s = (moment - CLOCK.now()).total_seconds()
    return min(max(wait_s, 1.0), longest_s)
