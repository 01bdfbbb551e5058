"""Problems: every answer that is not a success, as RFC 9457 tells it."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from werkzeug.exceptions import HTTPException

from api.answers import PROBLEM, Answer, Header
from workplatform.bonds import GroupNotFoundError
from workplatform.errors import (
    IdempotencyError,
    IllegalTransitionError,
    InvalidSubmissionError,
    JobNotFoundError,
    PlatformError,
    QueueNotFoundError,
    ScheduleNotFoundError,
    StoreUnavailableError,
)
from workplatform.limiting import LimitNotFoundError
from workplatform.refusals import MemoryShortError, QueueDrainingError, QueueFullError
from workplatform.store.failures import ErrorNotFoundError
from workplatform.store.records import NewerRecordError
from workplatform.store.retries import RetryNotFoundError

_log = structlog.get_logger()

RETRY_AFTER_S = 2
_WAITS_S: dict[type[PlatformError], int] = {
    StoreUnavailableError: RETRY_AFTER_S,
    QueueFullError: 5,
    MemoryShortError: 10,
}

_STATUSES: dict[type[PlatformError], HTTPStatus] = {
    InvalidSubmissionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    JobNotFoundError: HTTPStatus.NOT_FOUND,
    QueueNotFoundError: HTTPStatus.NOT_FOUND,
    ScheduleNotFoundError: HTTPStatus.NOT_FOUND,
    GroupNotFoundError: HTTPStatus.NOT_FOUND,
    ErrorNotFoundError: HTTPStatus.NOT_FOUND,
    RetryNotFoundError: HTTPStatus.NOT_FOUND,
    NewerRecordError: HTTPStatus.SERVICE_UNAVAILABLE,
    IllegalTransitionError: HTTPStatus.CONFLICT,
    IdempotencyError: HTTPStatus.UNPROCESSABLE_ENTITY,
    LimitNotFoundError: HTTPStatus.NOT_FOUND,
    QueueDrainingError: HTTPStatus.CONFLICT,
    QueueFullError: HTTPStatus.TOO_MANY_REQUESTS,
    MemoryShortError: HTTPStatus.TOO_MANY_REQUESTS,
    StoreUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}
_SENTENCES = {
    HTTPStatus.NOT_FOUND: "there is nothing at this address",
    HTTPStatus.METHOD_NOT_ALLOWED: "this address does not take this method",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the request body is too large",
    HTTPStatus.INTERNAL_SERVER_ERROR: "the platform made a mistake; its log tells more",
}


# RFC 9110's names, where Python's differ from version to version.
_NAMES = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


class RequestError(PlatformError):
    """The request cannot be served as it is."""

    code = "request"

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        *,
        code: str = "",
        problems: Sequence[Mapping[str, str]] = (),
        headers: tuple[Header, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.problem_code = code or _code(status)
        self.problems = problems
        self.headers = headers


def bad_parameter(name: str, detail: str) -> RequestError:
    """Make the error for a query parameter that has a wrong value."""
    problem = {"pointer": f"/{name}", "parameter": name, "detail": detail}
    return RequestError(HTTPStatus.BAD_REQUEST, f"{name}: {detail}", code="bad_parameter", problems=[problem])


def answer_error(error: Exception) -> Answer:
    """Turn any error into its answer; one that nobody foresaw is logged and told without details."""
    if isinstance(error, RequestError):
        return _answer(describe(error), error.headers)
    if isinstance(error, HTTPException):
        return _from_werkzeug(error)
    problem = describe(error)
    if problem["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, StoreUnavailableError):
        _log.error("request_failed", exc_info=error)
    seconds = next((wait_s for kind, wait_s in _WAITS_S.items() if isinstance(error, kind)), None)
    retry = () if seconds is None else (("Retry-After", str(seconds)),)
    return _answer(problem, retry)


def describe(error: Exception) -> dict[str, Any]:
    """Return the problem document of an error."""
    if isinstance(error, RequestError):
        return _problem(error.status, error.problem_code, error.message, error.problems)
    status = _STATUSES.get(type(error)) if isinstance(error, PlatformError) else None
    if status is None or not isinstance(error, PlatformError):
        failure = HTTPStatus.INTERNAL_SERVER_ERROR
        return _problem(failure, "internal", _SENTENCES[failure])
    return _problem(status, error.code, error.message, error.data.get("problems", ()))


def _from_werkzeug(error: HTTPException) -> Answer:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    kept = tuple((name, value) for name, value in error.get_headers() if name in {"Allow", "Location", "Retry-After"})
    sentence = _SENTENCES.get(status) or (error.description or status.phrase).rstrip(".")
    return _answer(_problem(status, _code(status), sentence), kept)


def _problem(
    status: HTTPStatus, code: str, sentence: str, problems: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": f"urn:workplatform:problem:{code}",
        "title": _name(status),
        "status": int(status),
        "detail": sentence,
        "error": sentence,
        "code": code,
    }
    if problems:
        document["errors"] = list(problems)
    return document


def _answer(problem: Mapping[str, Any], headers: tuple[Header, ...]) -> Answer:
    return Answer(problem["status"], orjson.dumps(problem), PROBLEM, headers)


def _code(status: HTTPStatus) -> str:
    return _name(status).lower().replace(" ", "_").replace("-", "_")


def _name(status: HTTPStatus) -> str:
    return _NAMES.get(status, status.phrase)
