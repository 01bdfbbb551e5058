"""Callbacks: telling a caller's URL how its job ended, as a job of type `http`."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import structlog

from workplatform.errors import InvalidSubmissionError
from workplatform.states import Status
from workplatform.store.records import NewJob
from workplatform.submission import Submitter
from workplatform.wire import callback_document

CALLBACK_TYPE: Final = "http"
_log = structlog.get_logger()


class Finishing(Protocol):
    """What a callback needs to know of a job: a Record and a Grant will both do."""

    @property
    def id(self) -> str:
        """The job's id."""

    @property
    def type(self) -> str:
        """The job's type."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """What the caller submitted."""


class Callbacks:
    """Makes the job that delivers a callback; it is stored in the same step as the ending it tells of."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter

    def for_ending(
        self, job: Finishing, *, status: Status, result: Any, error: str | None, duration_ms: int | None
    ) -> NewJob | None:
        """Return the delivery of an ending, None if the job has no callback."""
        url = job.spec.get("callback")
        if not url:
            return None
        body = callback_document(job.id, job.type, status=status, result=result, error=error, duration_ms=duration_ms)
        document = {"type": CALLBACK_TYPE, "payload": {"url": url, "body": body, "about": job.id}}
        try:
            return self._submitter.prepare(document)
        except InvalidSubmissionError as refused:
            # The job has ended either way; a callback that cannot be made must not undo that.
            _log.error("callback_impossible", job_id=job.id, error=refused.message)
            return None
