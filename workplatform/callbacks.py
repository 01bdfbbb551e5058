"""Callbacks: telling a caller's URL how its job ended, as a job of type `http`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from pydantic import ValidationError

from workplatform.apikeys import DEFAULT as DEFAULT_KEY
from workplatform.clock import CLOCK
from workplatform.errors import InvalidSubmissionError
from workplatform.hooks import Bulletin, Hook
from workplatform.pulse import State
from workplatform.signing import DEFAULT
from workplatform.states import Status
from workplatform.store.records import Grant, NewJob
from workplatform.submission import Submitter, details_of
from workplatform.wire import bulletin_document, callback_document, enveloped

CALLBACK_TYPE: Final = "http"
_FIELDS: Final = {"callback", "onFailure"}
_EFFORTS: Final[Mapping[Bulletin, Mapping[str, int]]] = {
    "started": {"maxRetries": 3},
    "progress": {"maxRetries": 0, "priority": 4},
}
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


@dataclass(frozen=True, slots=True)
class News:
    """What a callback tells: of which kind of thing, of which one, what has happened, and the body that says so."""

    kind: str
    about: str
    event: str
    body: Mapping[str, Any]


class Callbacks:
    """Makes the jobs that deliver callbacks; that of an ending is stored in the same step as the ending."""

    def __init__(self, submitter: Submitter, *, signs: bool) -> None:
        self._submitter = submitter
        self._signs = signs

    def for_ending(
        self,
        job: Finishing,
        *,
        status: Status,
        result: Any = None,
        error: str | None = None,
        duration_ms: int | None = None,
    ) -> list[NewJob]:
        """Return the deliveries of an ending, one for each hook that wants it. What no attempt ended has no result."""
        hooks = [_hook(job.spec, "callback"), _hook(job.spec, "onFailure")] if job.spec.keys() & _FIELDS else []
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
        made = (self._delivery(hook, News("job", job.id, status, body), job.spec) for hook in wanting)
        return [delivery for delivery in made if delivery is not None]

    def wants(self, job: Finishing, event: Bulletin) -> bool:
        """Whether a receiver is to be told of it while the job runs."""
        hook = _hook(job.spec, "callback")
        return hook is not None and hook.wants(event)

    def for_attempt(self, job: Grant, event: Bulletin, state: State) -> NewJob | None:
        """Return the delivery that tells how far a running attempt is, if it can be made.

        The start is worth some retries; progress is told once, after everything else, and only while the attempt runs.
        """
        hook = _hook(job.spec, "callback")
        if hook is None:
            return None
        body = bulletin_document(job.id, job.type, attempt=job.attempts, at=CLOCK.now(), state=state)
        delivery = self._delivery(hook, News("job", job.id, event, body), job.spec, **_EFFORTS[event])
        if delivery is None or event != "progress":
            return delivery
        return delivery.with_terms(whilst=f"{job.id} {job.fence}")

    def for_group(
        self, group: str, spec: Mapping[str, Any], *, status: Status, body: Mapping[str, Any]
    ) -> list[NewJob]:
        """Return the deliveries of the end of a flow or batch, given what was said of it."""
        hooks = [_hook(spec, "callback"), _hook(spec, "onFailure")]
        news = News(group.partition(":")[0], group, status, body)
        made = (self._delivery(hook, news, spec) for hook in hooks if hook is not None and hook.wants(status))
        return [delivery for delivery in made if delivery is not None]

    def _delivery(self, hook: Hook, news: News, spec: Mapping[str, Any], **effort: int) -> NewJob | None:
        """Make a delivery that takes its turn among those of the API key that has submitted what it tells of."""
        payload = {
            "url": hook.url,
            "body": enveloped(news.kind, news.event, news.body) if hook.format == "standard" else news.body,
            "headers": hook.headers,
            "signature": hook.secret_name or (DEFAULT if self._signs else None),
            "about": news.about,
        }
        try:
            delivery = self._submitter.prepare({"type": CALLBACK_TYPE, "payload": payload, **effort})
        except InvalidSubmissionError as refused:
            # What it tells of has happened either way; a callback that cannot be made must not undo that.
            _log.error("callback_impossible", about=news.about, error=refused.message)
            return None
        return delivery.with_terms(about=news.about, tells=news.event).submitted_by(spec.get("by", DEFAULT_KEY))


def _hook(spec: Mapping[str, Any], field: str) -> Hook | None:
    said = spec.get(field)
    if not said:
        return None
    try:
        hook = Hook.model_validate({"url": said} if isinstance(said, str) else said)
    except ValidationError as error:
        # A release with other rules has taken it in; its job has to end nevertheless.
        _log.error("callback_impossible", field=field, error=str(details_of(error)))
        return None
    return hook.model_copy(update={"events": (Status.FAILED.value,)}) if field == "onFailure" else hook
