"""POST /api/jobs: from the bytes of a request to the answer, without a web framework in between."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import orjson

from api.answers import Answer, Header, json_answer
from api.auth import caller_of
from api.commit import GroupCommit
from api.problems import RequestError, describe
from workplatform.apikeys import DEFAULT
from workplatform.errors import InvalidSubmissionError
from workplatform.grouping import GroupService
from workplatform.service import JobService
from workplatform.states import Status
from workplatform.store.jobs import JOBS_PER_CALL
from workplatform.store.records import Created, NewJob
from workplatform.submission import invalid, problem_at
from workplatform.wire import timestamp

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_LONGEST_KEY = 255
_JSON_TYPES = frozenset({"application/json", "text/json"})


class Submissions:
    """Takes submissions: one job, or an array of jobs of which each is answered by itself."""

    def __init__(self, service: JobService, groups: GroupService, commit: GroupCommit, *, max_body_bytes: int) -> None:
        self._service = service
        self._groups = groups
        self._commit = commit
        self._max_body_bytes = max_body_bytes

    def answer(self, environ: "WSGIEnvironment") -> Answer:
        """Store what the request submits.

        Raises RequestError, InvalidSubmissionError, IdempotencyError, AdmissionError or StoreUnavailableError.
        """
        body = read_body(environ, max_body_bytes=self._max_body_bytes)
        document = parsed(body)
        store = _of_caller(environ, self._once(environ, body) if "HTTP_IDEMPOTENCY_KEY" in environ else self._store)
        if isinstance(document, list) and _asks_for_batch(environ):
            document = {"jobs": document}
        if isinstance(document, list):
            taken = self._take(document, store, base="")
            return json_answer(taken.receipts, status=taken.status, headers=taken.headers)
        if isinstance(document, dict) and "jobs" in document and "type" not in document:
            return self._batch(document, environ, store)
        stored = store([self._service.prepare(document)])
        [receipt] = stored.receipts
        if isinstance(receipt, InvalidSubmissionError):
            raise receipt
        location = ("Location", f"/api/jobs/{receipt['jobId']}")
        return json_answer(receipt, status=HTTPStatus.ACCEPTED, headers=(location, *stored.headers))

    def _batch(self, document: dict[str, Any], environ: "WSGIEnvironment", store: "_Store") -> Answer:
        """Store jobs that are told of, cancelled and retried together."""
        # A repeated request has to name the batch of the first one.
        own = f"batch_{idempotency_key(environ)[:26]}" if "HTTP_IDEMPOTENCY_KEY" in environ else ""
        batch, batch_id = self._groups.batch_of(document, default=own)
        by = caller_of(environ)
        taken = self._take(
            batch.jobs, lambda jobs: store(self._groups.batched(jobs, batch, batch_id, by=by)), base="/jobs"
        )
        if not taken.are_stored:
            return json_answer({"batchId": None, "jobs": taken.receipts}, status=taken.status, headers=taken.headers)
        location = ("Location", f"/api/batches/{batch_id}")
        answer = {"batchId": batch_id, "jobs": taken.receipts}
        return json_answer(answer, status=taken.status, headers=(location, *taken.headers))

    def _store(self, jobs: Sequence[NewJob]) -> "_Stored":
        created = self._commit.create(jobs)
        return _Stored([_receipt(job, job.id, created) for job in jobs])

    def _once(self, environ: "WSGIEnvironment", body: bytes) -> "_Store":
        """Return what stores the jobs of a request that bears an idempotency key; a key counts for one API key."""
        key = idempotency_key(environ)
        fingerprint = hashlib.sha256(body + (b" as a batch" if _asks_for_batch(environ) else b"")).hexdigest()

        def store(jobs: Sequence[NewJob]) -> _Stored:
            once = self._service.create_once(jobs, key=key, fingerprint=fingerprint)
            pairs = zip(jobs, once.job_ids, strict=True)
            receipts = [_receipt(job, job_id, once.created) for job, job_id in pairs]
            return _Stored(receipts, (("Idempotent-Replayed", "true"),) if once.is_replay else ())

        return store

    def _take(self, documents: Sequence[object], store: "_Store", *, base: str) -> "_Taken":
        """Store those of the documents at `base` that are jobs; each is answered by itself."""
        if not documents:
            raise InvalidSubmissionError("the array holds no job", [{"pointer": base, "detail": "must not be empty"}])
        if len(documents) > JOBS_PER_CALL:
            raise RequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"an array may hold {JOBS_PER_CALL} jobs, this one holds {len(documents)}: send several",
            )
        prepared = [self._prepared(document, is_of_batch=bool(base)) for document in documents]
        jobs = [job for job in prepared if isinstance(job, NewJob)]
        stored = store(jobs) if jobs else _Stored([])
        of_jobs = iter(stored.receipts)
        answers = [next(of_jobs) if isinstance(item, NewJob) else item for item in prepared]
        receipts = [_told(answer, f"{base}/{number}") for number, answer in enumerate(answers)]
        return _Taken(receipts, stored.headers, are_stored=bool(jobs))

    def _prepared(self, document: object, *, is_of_batch: bool) -> NewJob | InvalidSubmissionError:
        if is_of_batch and isinstance(document, dict) and "batchId" in document:
            return invalid([problem_at("/batchId", "the request names the batch; leave it out")])
        try:
            return self._service.prepare(document)
        except InvalidSubmissionError as error:
            return error


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the client is told of the jobs of its request, in their order."""

    receipts: Sequence["_Receipt"]
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class _Taken:
    """What the client is told of each document of its request, in their order; `are_stored`: whether one was valid."""

    receipts: Sequence[Mapping[str, Any]]
    headers: tuple[Header, ...]
    are_stored: bool

    @property
    def status(self) -> HTTPStatus:
        """The answer's status: 207 where not each of them is a job."""
        is_whole = all("jobId" in receipt for receipt in self.receipts)
        return HTTPStatus.ACCEPTED if is_whole else HTTPStatus.MULTI_STATUS


_Receipt = Mapping[str, Any] | InvalidSubmissionError
_Store = Callable[[Sequence[NewJob]], _Stored]


def _receipt(job: NewJob, job_id: str, created: Created) -> _Receipt:
    """Tell what became of a job: it was made as `job_id`, another one has its unique key, or it has no parent.

    A repeated request is told the same, whatever has become of the job since.
    """
    if not job.terms:  # nothing else makes it another job, or lets it wait
        return {"jobId": job_id, "status": Status.QUEUED, "createdAt": _iso(created.at_ms)}
    if (parent := created.orphans.get(job_id)) is not None:
        return _orphan(job, parent)
    status, at_ms = created.standing.get(job_id, (Status.QUEUED, created.at_ms))
    if (other := created.others.get(job_id)) is not None:
        return {"jobId": other, "status": status, "createdAt": _iso(at_ms), "existing": True}
    if job_id not in created.standing and job.begins_after(at_ms):
        status = Status.SCHEDULED
    return {"jobId": job_id, "status": status, "createdAt": _iso(at_ms)}


def _told(receipt: _Receipt, pointer: str) -> Mapping[str, Any]:
    """Return a receipt as it is told; the pointers of a problem become those into the whole document."""
    if not isinstance(receipt, InvalidSubmissionError):
        return receipt
    errors = [{**item, "pointer": f"{pointer}{item['pointer']}"} for item in receipt.problems]
    return {**describe(receipt), "errors": errors}


def _of_caller(environ: "WSGIEnvironment", store: _Store) -> _Store:
    """Return what stores jobs as those of the API key that the request brought."""
    name = caller_of(environ)
    return store if name == DEFAULT else lambda jobs: store([job.submitted_by(name) for job in jobs])


def _asks_for_batch(environ: "WSGIEnvironment") -> bool:
    return parse_qs(environ.get("QUERY_STRING", "")).get("batch", [""])[-1] in ("1", "true")


def _orphan(job: NewJob, parent: str) -> InvalidSubmissionError:
    """Refuse a job whose parent is not there."""
    at = job.parents.index(parent)
    return invalid([problem_at(f"/dependsOn/{at}", f"there is no job {parent}")])


def idempotency_key(environ: "WSGIEnvironment") -> str:
    """Return the name under which a request's outcome is kept, another one for each API key.

    Raises RequestError for a key of a wrong form.
    """
    key = environ["HTTP_IDEMPOTENCY_KEY"].strip()
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isprintable():
        raise RequestError(
            HTTPStatus.BAD_REQUEST,
            f"Idempotency-Key must have 1 to {_LONGEST_KEY} printable characters, such as a UUID",
            code="bad_idempotency_key",
        )
    name = caller_of(environ)
    return hashlib.sha256((key if name == DEFAULT else f"{name}\0{key}").encode()).hexdigest()


def read_document(environ: "WSGIEnvironment", *, max_body_bytes: int) -> object:
    """Read the document that a request bears; raises RequestError if it is too large or not JSON."""
    return parsed(read_body(environ, max_body_bytes=max_body_bytes))


def read_body(environ: "WSGIEnvironment", *, max_body_bytes: int) -> bytes:
    """Read the bytes of a request that bears JSON; raises RequestError if it says that it does not, or is too large."""
    media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media_type not in _JSON_TYPES:
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"jobs are submitted as application/json, not as {media_type or 'an unnamed type'}",
            headers=(("Accept-Post", "application/json"),),
        )
    return _body(environ, max_body_bytes)


def parsed(body: bytes) -> object:
    """Parse a body; raises RequestError if it is not JSON."""
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


@lru_cache(maxsize=64)
def _iso(moment_ms: int) -> str:
    return str(timestamp(datetime.fromtimestamp(moment_ms / 1000, UTC)))
