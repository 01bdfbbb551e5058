"""Submissions: what a caller may ask for, checked and turned into a new job."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

import orjson
from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from workplatform.errors import InvalidSubmissionError
from workplatform.groups import BatchId, Bonds
from workplatform.hooks import HookOrUrl
from workplatform.ids import new_job_id
from workplatform.models import Tag, WireModel
from workplatform.registry import JobType, Registry
from workplatform.retry import RetryPolicy
from workplatform.store.records import NewJob, Record
from workplatform.terms import Terms

_LEAST: Final = frozenset({"type", "payload"})
_OF_NAME: Final = "[key]"
_DETAILS: Final[Mapping[str, str]] = {
    "extra_forbidden": "unknown field; check its spelling",
    "missing": "is required",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "too_short": "must hold at least {min_length}",
    "too_long": "may hold at most {max_length}",
    "timezone_aware": "must say its zone, as 2030-01-31T04:00:00Z does",
}

M = TypeVar("M", bound=WireModel)
SeriesOf = Callable[[JobType, Mapping[str, Any]], str]


class Wakeups(Protocol):
    """Builds the messages that wake workers up."""

    def template(self, job_type: str, queue: str, priority: int) -> bytes:
        """Return the message for any job, with JOB_MARK for the job's id."""

    def build(self, job_id: str, job_type: str, queue: str, priority: int) -> bytes:
        """Return the message for a job."""


class Submission(Terms):
    """The body of POST /api/jobs."""

    type: str = Field(description="The job type", examples=["thumbnail"])
    payload: dict[str, Any] = Field(description="What the job type takes")
    priority: int | None = Field(None, ge=0, le=4, description="0 (first) to 4 (last); default: the type's own")
    callback: HookOrUrl | None = Field(None, description="URL that is told how the job ended, or an object with more")
    on_failure: HookOrUrl | None = Field(None, description="The same, told only if the job has failed")
    retry_policy: RetryPolicy | None = Field(None, description="Replaces the type's retry policy")
    max_retries: int | None = Field(None, ge=0, le=100, description="Replaces the policy's maxRetries")
    tags: tuple[Tag, ...] = Field((), max_length=20, description="Words of the caller's own")
    outputs_expire: bool | None = Field(
        None, description="Whether what it makes below DATA_DIR is removed with it; default: OUTPUTS_EXPIRE"
    )
    batch_id: BatchId | None = Field(None, description="The batch that it is of", examples=["import-7"])


def _series_of(job_type: JobType, payload: Mapping[str, Any]) -> str:
    return job_type.series_of(checked(job_type.payload_model, payload, "/payload"))


class Submitter:
    """Turns documents into new jobs; pure, nothing is stored."""

    def __init__(self, registry: Registry, wakeups: Wakeups, *, outputs_expire: bool = False) -> None:
        self._registry = registry
        self._outputs_expire = outputs_expire
        self._wakeups = wakeups
        self.build_message = wakeups.build

    def prepare(self, document: object, *, series_of: SeriesOf = _series_of) -> NewJob:
        """Check a submission and make its job; raises InvalidSubmissionError naming every wrong field.

        `series_of` checks the payload and tells the series of its job.
        """
        if not isinstance(document, dict):
            raise InvalidSubmissionError("a job is an object with type and payload", [problem_at("", "not an object")])
        try:
            submission = checked(Submission, document, "")
        except InvalidSubmissionError as error:
            raise invalid([*error.problems, *self._payload_problems(document)]) from error
        job_type = self._type(submission.type)
        series = series_of(job_type, submission.payload)
        bonds = Bonds(group=f"batch:{submission.batch_id}") if submission.batch_id else None
        return self.make(job_type, submission, series, bonds)

    def make(self, job_type: JobType, submission: Submission, series: str, bonds: Bonds | None = None) -> NewJob:
        """Make the job of a submission that has been checked; `bonds` bind it to other jobs."""
        job_id = bonds.job_id if bonds and bonds.job_id else new_job_id()
        priority = job_type.priority if submission.priority is None else submission.priority
        spec = _spec(submission)
        expires = self._outputs_expire if submission.outputs_expire is None else submission.outputs_expire
        if expires and job_type.is_local_work:
            spec["outputsExpire"] = True
        said = orjson.dumps({**spec, **bonds.spec} if bonds else spec)
        message = self._wakeups.template(job_type.name, job_type.queue, priority)
        terms = submission.words(series=series, **(bonds.terms if bonds else {}))
        return NewJob(job_id, job_type.name, job_type.queue, priority, said, message, terms)

    def wakeup(self, record: Record) -> bytes:
        """Build the message that wakes a worker up for an existing job."""
        return self.build_message(record.id, record.type, record.queue, record.priority)

    def policy(self, type_name: str, spec: Mapping[str, Any]) -> RetryPolicy:
        """Return the retry policy in force for a job."""
        job_type = self._registry.get(type_name)
        policy = job_type.retry if job_type else RetryPolicy()
        if "retryPolicy" in spec:
            policy = RetryPolicy.model_validate(spec["retryPolicy"])
        if "maxRetries" in spec:
            policy = policy.model_copy(update={"max_retries": spec["maxRetries"]})
        return policy

    def _payload_problems(self, document: Mapping[str, Any]) -> list[dict[str, str]]:
        """Look at the payload of a submission that is wrong elsewhere, as far as its type is known."""
        job_type, payload = self._registry.get(str(document.get("type"))), document.get("payload")
        if job_type is None or not isinstance(payload, dict):
            return []
        try:
            checked(job_type.payload_model, payload, "/payload")
        except InvalidSubmissionError as error:
            return error.problems
        return []

    def _type(self, name: str) -> JobType:
        job_type = self._registry.get(name)
        if job_type is None:
            known = ", ".join(sorted(self._registry))
            raise InvalidSubmissionError(
                f"there is no job type {name!r}; there are {known}", [problem_at("/type", f"must be one of {known}")]
            )
        return job_type


def _spec(submission: Submission) -> dict[str, Any]:
    """Keep what the caller said, and only that."""
    spec: dict[str, Any] = {"payload": submission.payload}
    if submission.model_fields_set == _LEAST:
        return spec
    if submission.callback:
        spec["callback"] = submission.callback.said
    if submission.on_failure:
        spec["onFailure"] = submission.on_failure.said
    if submission.retry_policy:
        spec["retryPolicy"] = submission.retry_policy.model_dump(by_alias=True)
    if submission.max_retries is not None:
        spec["maxRetries"] = submission.max_retries
    if submission.stall_timeout is not None:
        spec["stallTimeout"] = submission.stall_timeout
    if submission.tags:
        spec["tags"] = submission.tags
    return spec


def checked(model: type[M], value: object, base: str) -> M:
    """Validate what stands at `base`, a JSON pointer; raises InvalidSubmissionError naming every wrong field."""
    try:
        # model_validate() takes half as long again before it comes to this.
        found: M = model.__pydantic_validator__.validate_python(value)
    except ValidationError as error:
        wrong = details_of(error)
        raise invalid([problem_at(base + pointer_to(*place), detail) for place, detail in wrong]) from error
    return found


def invalid(problems: list[dict[str, str]]) -> InvalidSubmissionError:
    """Make the error of a document of its problems; the first one is told in its sentence."""
    first = problems[0]
    where = first["pointer"].lstrip("/").replace("/", ".") or "the document"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return InvalidSubmissionError(f"{where}: {first['detail']}{more}", problems)


def details_of(error: ValidationError) -> list[tuple[tuple[str | int, ...], str]]:
    """Return (place, what is wrong there) of all that pydantic has found; of a name, that is what it names."""
    found = error.errors(include_url=False, include_input=False)
    return [(tuple(word for word in item["loc"] if word != _OF_NAME), _detail(item)) for item in found]


def _detail(item: ErrorDetails) -> str:
    """Say what is wrong in the words of JSON, not in those of Python."""
    detail = _DETAILS.get(item["type"], item["msg"].removeprefix("Value error, "))
    return detail.format_map(item.get("ctx", {})) if item["type"] in _DETAILS else detail


def pointer_to(*words: str | int) -> str:
    """Return the JSON pointer (RFC 6901) to a place."""
    return "".join("/" + str(word).replace("~", "~0").replace("/", "~1") for word in words)


def problem_at(pointer: str, detail: str) -> dict[str, str]:
    """Make one problem of a document."""
    return {"pointer": pointer, "detail": detail}
