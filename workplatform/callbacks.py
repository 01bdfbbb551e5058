"""Callbacks: telling a caller's URL how its job ended, as a job of type `http`."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import structlog

from workplatform.clock import CLOCK
from workplatform.errors import InvalidSubmissionError
from workplatform.hooks import Hook
from workplatform.signing import DEFAULT
from workplatform.states import Status
from workplatform.store.records import NewJob
from workplatform.submission import Submitter
from workplatform.wire import callback_document

CALLBACK_TYPE: Final = "http"
_FIELDS: Final = {"callback", "onFailure"}
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
    def attempts(self) -> int:
        """How many times it was executed."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """What the caller submitted."""


class Callbacks:
    """Makes the job that delivers a callback; it is stored in the same step as the ending it tells of."""

    def __init__(self, submitter: Submitter, *, signs: bool) -> None:
        self._submitter = submitter
        self._signs = signs

    def for_ending(
        self, job: Finishing, *, status: Status, result: Any, error: str | None, duration_ms: int | None
    ) -> list[NewJob]:
        """Return the deliveries of an ending, one for each hook that wants it."""
        hooks = [_hook(job, "callback"), _hook(job, "onFailure")] if job.spec.keys() & _FIELDS else []
        wanting = [hook for hook in hooks if hook is not None and hook.wants(status)]
        if not wanting:
            return []
        body = callback_document(
            job.id,
            job.type,
            status=status,
            result=result,
            error=error,
            duration_ms=duration_ms,
            attempt=job.attempts,
            at=CLOCK.now(),
        )
        made = (self._delivery(job, hook, body) for hook in wanting)
        return [delivery for delivery in made if delivery is not None]

    def _delivery(self, job: Finishing, hook: Hook, body: Mapping[str, Any]) -> NewJob | None:
        signature = hook.secret_name or (DEFAULT if self._signs else None)
        payload = {"url": hook.url, "body": body, "headers": hook.headers, "signature": signature, "about": job.id}
        document = {"type": CALLBACK_TYPE, "payload": payload}
        try:
            return self._submitter.prepare(document)
        except InvalidSubmissionError as refused:
            # The job has ended either way; a callback that cannot be made must not undo that.
            _log.error("callback_impossible", job_id=job.id, error=refused.message)
            return None


def _hook(job: Finishing, field: str) -> Hook | None:
    said = job.spec.get(field)
    if not said:
        return None
    hook = Hook.model_validate({"url": said} if isinstance(said, str) else said)
    return hook.model_copy(update={"events": (Status.FAILED.value,)}) if field == "onFailure" else hook
