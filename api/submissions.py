"""POST /api/jobs: from the bytes of a request to the answer, without a web framework in between."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from api.answers import Answer, Header, json_answer
from api.commit import GroupCommit
from api.problems import RequestError, describe
from workplatform.errors import InvalidSubmissionError
from workplatform.service import JobService
from workplatform.states import Status
from workplatform.store.jobs import JOBS_PER_CALL
from workplatform.store.records import Created, NewJob
from workplatform.wire import timestamp

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_LONGEST_KEY = 255
_JSON_TYPES = frozenset({"application/json", "text/json"})


class Submissions:
    """Takes submissions: one job, or an array of jobs of which each is answered by itself."""

    def __init__(self, service: JobService, commit: GroupCommit, *, max_body_bytes: int) -> None:
        self._service = service
        self._commit = commit
        self._max_body_bytes = max_body_bytes

    def answer(self, environ: "WSGIEnvironment") -> Answer:
        """Store what the request submits.

        Raises RequestError, InvalidSubmissionError, IdempotencyError or StoreUnavailableError.
        """
        body = _read(environ, self._max_body_bytes)
        document = _parsed(body)
        store = self._once(environ, body) if "HTTP_IDEMPOTENCY_KEY" in environ else self._store
        if isinstance(document, list):
            return self._many(document, store)
        stored = store([self._service.prepare(document)])
        [receipt] = stored.receipts
        location = ("Location", f"/api/jobs/{receipt['jobId']}")
        return json_answer(receipt, status=HTTPStatus.ACCEPTED, headers=(location, *stored.headers))

    def _store(self, jobs: Sequence[NewJob]) -> "_Stored":
        created = self._commit.create(jobs)
        return _Stored([self._receipt(job, job.id, created) for job in jobs])

    def _once(self, environ: "WSGIEnvironment", body: bytes) -> Callable[[Sequence[NewJob]], "_Stored"]:
        """Return what stores the jobs of a request that bears an idempotency key; a key counts for one API key."""
        key = idempotency_key(environ)
        fingerprint = hashlib.sha256(body).hexdigest()

        def store(jobs: Sequence[NewJob]) -> _Stored:
            once = self._service.create_once(jobs, key=key, fingerprint=fingerprint)
            pairs = zip(jobs, once.job_ids, strict=True)
            receipts = [self._receipt(job, job_id, once.created) for job, job_id in pairs]
            return _Stored(receipts, (("Idempotent-Replayed", "true"),) if once.is_replay else ())

        return store

    def _receipt(self, job: NewJob, job_id: str, created: Created) -> dict[str, Any]:
        """Tell what became of a job: it was made as `job_id`, or another one is active with its unique key."""
        if (other := created.others.get(job_id)) is not None:
            document = self._service.get(other)
            return {name: document[name] for name in ("jobId", "status", "createdAt")} | {"existing": True}
        status = Status.SCHEDULED if job.begins_after(created.at_ms) else Status.QUEUED
        return {"jobId": job_id, "status": status, "createdAt": _iso(created.at_ms)}

    def _many(self, documents: Sequence[object], store: Callable[[Sequence[NewJob]], "_Stored"]) -> Answer:
        if not documents:
            raise InvalidSubmissionError("the array holds no job", [{"pointer": "", "detail": "must not be empty"}])
        if len(documents) > JOBS_PER_CALL:
            raise RequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"an array may hold {JOBS_PER_CALL} jobs, this one holds {len(documents)}: send several",
            )
        prepared = [self._prepared(document, number) for number, document in enumerate(documents)]
        jobs = [job for job in prepared if isinstance(job, NewJob)]
        stored = store(jobs) if jobs else _Stored([])
        receipts = iter(stored.receipts)
        answers = [next(receipts) if isinstance(item, NewJob) else item for item in prepared]
        is_whole = len(jobs) == len(documents)
        status = HTTPStatus.ACCEPTED if is_whole else HTTPStatus.MULTI_STATUS
        return json_answer(answers, status=status, headers=stored.headers)

    def _prepared(self, document: object, number: int) -> NewJob | dict[str, Any]:
        """Return the job, or the problem of an item that is not one, its pointers into the whole array."""
        try:
            return self._service.prepare(document)
        except InvalidSubmissionError as error:
            problem = describe(error)
            errors = [{**item, "pointer": f"/{number}{item['pointer']}"} for item in error.problems]
            return {**problem, "errors": errors}


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the client is told of the jobs of its request, in their order."""

    receipts: Sequence[Mapping[str, Any]]
    headers: tuple[Header, ...] = ()


def idempotency_key(environ: "WSGIEnvironment") -> str:
    """Return the name under which a request's outcome is kept; raises RequestError for a key of a wrong form."""
    key = environ["HTTP_IDEMPOTENCY_KEY"].strip()
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isprintable():
        raise RequestError(
            HTTPStatus.BAD_REQUEST,
            f"Idempotency-Key must have 1 to {_LONGEST_KEY} printable characters, such as a UUID",
            code="bad_idempotency_key",
        )
    return hashlib.sha256(key.encode()).hexdigest()


def read_document(environ: "WSGIEnvironment", *, max_body_bytes: int) -> object:
    """Read the document that a request bears; raises RequestError if it is too large or not JSON."""
    return _parsed(_read(environ, max_body_bytes))


def _read(environ: "WSGIEnvironment", max_body_bytes: int) -> bytes:
    media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media_type not in _JSON_TYPES:
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"jobs are submitted as application/json, not as {media_type or 'an unnamed type'}",
            headers=(("Accept-Post", "application/json"),),
        )
    return _body(environ, max_body_bytes)


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body)
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


def _iso(moment_ms: int) -> str:
    return str(timestamp(datetime.fromtimestamp(moment_ms / 1000, UTC)))
