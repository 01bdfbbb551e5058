"""Answers: what a route gives back, before it is anybody's response object."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

JSON = "application/json"
PROBLEM = "application/problem+json"

Header = tuple[str, str]
STATUS_LINES = {int(status): f"{status.value} {status.phrase}" for status in HTTPStatus}
_ALWAYS: tuple[Header, ...] = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body and the headers that are not the same for all; a WSGI application that answers so."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: tuple[Header, ...] = ()

    def extended(self, headers: tuple[Header, ...]) -> "Answer":
        """Return this answer with more headers."""
        return replace(self, headers=self.headers + headers) if headers else self

    def all_headers(self) -> list[Header]:
        """Return every header, the length included."""
        kind = [("Content-Type", self.media_type)] if self.body else []
        length = [] if self.status == HTTPStatus.NO_CONTENT else [("Content-Length", str(len(self.body)))]
        return [*kind, *length, *_ALWAYS, *self.headers]

    def __call__(self, _environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Give the answer."""
        start_response(STATUS_LINES[self.status], self.all_headers())
        return (self.body,)


def json_answer(document: Any, *, status: int = 200, headers: tuple[Header, ...] = ()) -> Answer:
    """Make an answer of a document."""
    return Answer(status, orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS), headers=headers)
