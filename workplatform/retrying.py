"""Retrying: one job, changed or not, or all failed jobs that a filter matches, the newest of them first to prove it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import Field

from workplatform.editing import edited
from workplatform.errors import IllegalTransitionError
from workplatform.ids import new_job_id
from workplatform.models import WireModel
from workplatform.service import JobService
from workplatform.states import Status
from workplatform.store.failures import FailureFilter, Place
from workplatform.store.jobs import JobStore
from workplatform.store.retries import Operation
from workplatform.submission import Submitter, checked, invalid, problem_at
from workplatform.terms import Moment
from workplatform.wire import timestamp

_AT_ONCE: Final = 50
_STEPS_A_TICK: Final = 4
_SAMPLES: Final = 5


class RetryFilter(WireModel):
    """Which failed jobs are meant: those that match all that is said."""

    type: str = Field("", description="The job type", examples=["webp"])
    code: str = Field("", description="The error code", examples=["timeout"])
    fingerprint: str = Field("", description="What alike errors share", examples=["0a1b2c3d4e5f"])
    tag: str = Field("", description="A tag of the submission", examples=["import-7"])
    since: Moment | None = Field(None, alias="from", description="They ended then or later")
    until: Moment | None = Field(None, alias="to", description="They ended then or before")

    def wanted(self) -> FailureFilter:
        """Return the filter as the store reads it."""
        return FailureFilter(self.type, self.code, self.fingerprint, self.tag, self.since, self.until)


class RetryOrder(WireModel):
    """The body of POST /api/jobs/retry."""

    filter: RetryFilter = Field(description="Which failed jobs; {} is all")
    dry_run: bool = Field(False, description="Tell how many and show some, and retry none")
    canary: int = Field(
        0, ge=0, le=_AT_ONCE, description="Retry so many of the newest first, and the rest once all of these completed"
    )


class RetryService:
    """The use cases, and the scheduler's step. Every method may raise StoreUnavailableError."""

    def __init__(self, service: JobService, store: JobStore, submitter: Submitter) -> None:
        self._service = service
        self._store = store
        self._submitter = submitter

    def one(self, job_id: str, changes: object) -> Status:
        """Queue a failed or cancelled job again, with some of what was submitted changed.

        Raises JobNotFoundError, IllegalTransitionError or InvalidSubmissionError.
        """
        record = self._store.get(job_id)
        refusal = self._store.retries.one(job_id, *edited(record, changes, self._submitter))
        if refusal:
            raise IllegalTransitionError(refusal)
        return self._store.get(job_id).status if record.parents else Status.QUEUED

    def many(self, document: object) -> dict[str, Any]:
        """Begin to retry what a filter matches, or tell what it matches; raises InvalidSubmissionError."""
        order = checked(RetryOrder, document, "")
        if order.filter.type and order.filter.type not in self._service.registry:
            known = ", ".join(sorted(self._service.registry))
            raise invalid([problem_at("/filter/type", f"must be one of {known}")])
        found = self._store.failures.page(order.filter.wanted(), limit=_SAMPLES, below=Place())
        if order.dry_run:
            sample = self._service.documents(found.records)
            return {"dryRun": True, "total": found.total, "sample": sample}
        name = new_job_id().replace("job_", "retry_", 1)
        said = order.filter.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        self._store.retries.begin(name, said, total=found.total, canary=order.canary)
        return self.get(name)

    def get(self, name: str) -> dict[str, Any]:
        """Return a retry of many jobs as a document; raises RetryNotFoundError."""
        return _document(self._store.retries.get(name))

    def latest(self) -> Sequence[dict[str, Any]]:
        """Return the latest retries, newest first."""
        return [_document(operation) for operation in self._store.retries.latest()]

    def abort(self, name: str) -> dict[str, Any]:
        """End a retry; what it has retried goes on. Raises RetryNotFoundError."""
        self._store.retries.abort(name)
        return self.get(name)

    def tick(self) -> None:
        """Do some steps of every retry that has not ended; any number of schedulers may do so at once."""
        for name in self._store.retries.active():
            for _ in range(_STEPS_A_TICK):
                operation = self._store.retries.get(name)
                if operation.status == "proving" and self._store.retries.prove(name) != "running":
                    break
                if operation.status in ("running", "canary") and not self._step(operation):
                    break

    def _step(self, operation: Operation) -> bool:
        """Retry some jobs; whether it may go on at once."""
        wanted = RetryFilter.model_validate(operation.spec).wanted()
        wanted = replace(wanted, until=min(wanted.until or operation.created_at, operation.created_at))
        left = operation.canary - operation.retried if operation.status == "canary" else _AT_ONCE
        page = self._store.failures.page(wanted, limit=left, below=operation.place)
        jobs = [(record.id, self._submitter.wakeup(record)) for record in page.records]
        return self._store.retries.step(operation, page.following, jobs) and page.following is not None


def _document(operation: Operation) -> dict[str, Any]:
    return {
        "retryId": operation.id,
        "status": operation.status,
        "filter": operation.spec,
        "canary": operation.canary,
        "canaryJobs": list(operation.canaries),
        "total": operation.total,
        "retried": operation.retried,
        "skipped": operation.skipped,
        "reason": operation.reason,
        "createdAt": timestamp(operation.created_at),
        "finishedAt": timestamp(operation.finished_at),
    }
