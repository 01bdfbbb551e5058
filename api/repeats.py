"""Repeated names: JSON takes the last of two members of a name, and the first one is lost without a word."""

import json
from contextlib import suppress
from typing import Any

from workplatform.errors import InvalidSubmissionError
from workplatform.submission import problem_at


def refuse_repeats(body: bytes) -> None:
    """Raise InvalidSubmissionError if an object of a document that is JSON has a name twice (RFC 8259, section 4)."""
    with suppress(RecursionError):  # what is nested so deeply is refused for that
        json.loads(body, object_pairs_hook=_checked, parse_int=str, parse_float=str)


def _checked(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            detail = f"{name!r} comes twice in one object: the first one would be lost"
            raise InvalidSubmissionError(detail, [problem_at("", detail)])
        seen.add(name)
