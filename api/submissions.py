"""POST /api/jobs: from the bytes of a request to the answer, without a web framework in between."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from api.answers import Answer, json_answer
from api.commit import GroupCommit
from api.problems import RequestError, describe
from workplatform.errors import InvalidSubmissionError
from workplatform.service import JobService
from workplatform.states import Status
from workplatform.store.jobs import JOBS_PER_CALL
from workplatform.store.records import NewJob
from workplatform.wire import timestamp

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_JSON_TYPES = frozenset({"application/json", "text/json"})


class Submissions:
    """Takes submissions: one job, or an array of jobs of which each is answered by itself."""

    def __init__(self, service: JobService, commit: GroupCommit, *, max_body_bytes: int) -> None:
        self._service = service
        self._commit = commit
        self._max_body_bytes = max_body_bytes

    def answer(self, environ: "WSGIEnvironment") -> Answer:
        """Store what the request submits; raises RequestError, InvalidSubmissionError or StoreUnavailableError."""
        document = _parsed(environ, self._max_body_bytes)
        if isinstance(document, list):
            return self._many(document)
        job = self._service.prepare(document)
        receipt = _receipt(job, _iso(self._commit.create([job])))
        return json_answer(receipt, status=HTTPStatus.ACCEPTED, headers=(("Location", f"/api/jobs/{job.id}"),))

    def _many(self, documents: Sequence[object]) -> Answer:
        if not documents:
            raise InvalidSubmissionError("the array holds no job", [{"pointer": "", "detail": "must not be empty"}])
        if len(documents) > JOBS_PER_CALL:
            raise RequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"an array may hold {JOBS_PER_CALL} jobs, this one holds {len(documents)}: send several",
            )
        prepared = [self._prepared(document, number) for number, document in enumerate(documents)]
        jobs = [job for job in prepared if isinstance(job, NewJob)]
        created_at = _iso(self._commit.create(jobs)) if jobs else ""
        answers = [_receipt(item, created_at) if isinstance(item, NewJob) else item for item in prepared]
        is_whole = len(jobs) == len(documents)
        return json_answer(answers, status=HTTPStatus.ACCEPTED if is_whole else HTTPStatus.MULTI_STATUS)

    def _prepared(self, document: object, number: int) -> NewJob | dict[str, Any]:
        """Return the job, or the problem of an item that is not one, its pointers into the whole array."""
        try:
            return self._service.prepare(document)
        except InvalidSubmissionError as error:
            problem = describe(error)
            errors = [{**item, "pointer": f"/{number}{item['pointer']}"} for item in error.problems]
            return {**problem, "errors": errors}


def _parsed(environ: "WSGIEnvironment", max_body_bytes: int) -> object:
    media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media_type not in _JSON_TYPES:
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"jobs are submitted as application/json, not as {media_type or 'an unnamed type'}",
            headers=(("Accept-Post", "application/json"),),
        )
    try:
        return orjson.loads(_body(environ, max_body_bytes))
    except orjson.JSONDecodeError as error:
        raise RequestError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}", code="bad_json") from error


def _body(environ: "WSGIEnvironment", most: int) -> bytes:
    """Read the body; raises RequestError (413). Without a length there is one only if the server ends it (chunked)."""
    length = environ.get("CONTENT_LENGTH", "")
    size = int(length) if length.isdigit() else 0
    if not length and environ.get("wsgi.input_terminated"):
        body = bytes(environ["wsgi.input"].read(most + 1))
        size = len(body)
    elif size <= most:
        body = bytes(environ["wsgi.input"].read(size))
    if size > most:
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the request body may have {most} bytes")
    return body


def _receipt(job: NewJob, created_at: str) -> dict[str, Any]:
    status = Status.SCHEDULED if job.delay_ms else Status.QUEUED
    return {"jobId": job.id, "status": status, "createdAt": created_at}


def _iso(moment_ms: int) -> str:
    return str(timestamp(datetime.fromtimestamp(moment_ms / 1000, UTC)))
