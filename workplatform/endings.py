"""How an attempt's ending decides the job's next state: one pure function."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from workplatform.errors import (
    Cancelled,
    ChildCrashedError,
    CommandFailedError,
    EncoderError,
    JobError,
    NoSpaceError,
    PlatformError,
    RetryLater,
    ShuttingDown,
    StoreUnavailableError,
    WorkerLostError,
)
from workplatform.lateness import DeadlineError, ExpiredError
from workplatform.retry import RetryPolicy
from workplatform.shortage import is_caused_by_lack_of_space
from workplatform.states import Event, Status, WaitingReason
from workplatform.store.records import Costs, Record
from workplatform.turns import NotYet
from workplatform.wellformed import well_formed
from workplatform.wire import timestamp

_OF_PROGRAMS: Final = (EncoderError, CommandFailedError, ChildCrashedError)


@dataclass(frozen=True, slots=True)
class Next:
    """Where an ending takes the job. `delay_ms` counts for `scheduled` only; `error` is what the record keeps."""

    status: Status
    event: Event
    costs: Costs
    message: str = ""
    delay_ms: int = 0
    reason: Literal["", "backoff", "turn"] = ""
    error: Mapping[str, Any] | None = None


def after_success(message: str) -> Next:
    """Return what follows when the handler returned."""
    return Next(Status.COMPLETED, Event.COMPLETED, "attempt", message)


def after_failure(error: BaseException, *, retries: int, policy: RetryPolicy) -> Next:
    """Return what follows when the attempt ended with an error; `retries` were used up before.

    Shutting down and waiting for a turn cost nothing. A lost worker is replaced at once; any other error that can be
    retried waits for the policy's backoff. What cannot be retried, or has no retry left, fails.
    """
    if isinstance(error, ShuttingDown):
        return Next(Status.QUEUED, Event.QUEUED, "nothing", "the worker stopped; queued again")
    if isinstance(error, NotYet):
        delay_ms = max(round(error.data["delay_s"] * 1000), 1)
        return Next(Status.SCHEDULED, Event.QUEUED, "nothing", error.message, delay_ms, WaitingReason.TURN.value)
    if isinstance(error, Cancelled):
        return Next(Status.CANCELLED, Event.CANCELLED, "attempt", error.message)
    facts = describe(error)
    if not facts["retryable"] or retries >= policy.max_retries:
        return Next(Status.FAILED, Event.FAILED, "attempt", facts["message"], error=facts)
    if isinstance(error, WorkerLostError):
        return Next(Status.QUEUED, Event.RETRYING, "retry", facts["message"], error=facts)
    delay_ms = _wait_ms(error, policy.delay(retries + 1).total_seconds() * 1000)
    return Next(
        Status.SCHEDULED,
        Event.RETRYING,
        "retry",
        facts["message"],
        delay_ms=max(delay_ms, 1),
        reason=WaitingReason.BACKOFF.value,
        error=facts,
    )


def _wait_ms(error: BaseException, usual_ms: float) -> int:
    if not isinstance(error, RetryLater) or error.data.get("delay_s") is None:
        return round(usual_ms)
    chosen_ms: float = error.data["delay_s"] * 1000
    return round(max(chosen_ms, usual_ms / 2) if error.data.get("is_asked") else chosen_ms)


def expiry(record: Record) -> JobError:
    """Return why a job whose time is up fails: it has not begun in time, or else not ended in time."""
    if record.expires_at is not None and (record.deadline is None or record.expires_at <= record.deadline):
        return ExpiredError(f"the job had to begin by {timestamp(record.expires_at)}")
    return DeadlineError(f"the job had to end by {timestamp(record.deadline)}")


def may_be_for_lack_of_space(error: BaseException) -> bool:
    """Whether a full disk could have caused what is not told in words of ours: a program or a library failed."""
    return type(error) is JobError or isinstance(error, _OF_PROGRAMS) or describe(error)["code"] == PlatformError.code


def describe(error: BaseException) -> dict[str, Any]:
    """Return what the record keeps of an error: code, message, whether a retry can help.

    An error for lack of space is that, whatever was made of it on its way.
    """
    if is_caused_by_lack_of_space(error):
        return describe(NoSpaceError())
    if isinstance(error, JobError):
        return {"code": error.code, "message": error.message, "retryable": error.retryable}
    if isinstance(error, StoreUnavailableError):
        return {"code": error.code, "message": error.message, "retryable": True}
    return {"code": PlatformError.code, "message": well_formed(f"{type(error).__name__}: {error}"), "retryable": True}
