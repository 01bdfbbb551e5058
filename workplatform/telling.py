"""What Celery is told of an attempt, and Flower by its events: a job that failed shall not show as a success there.

Celery learns by exceptions how a task ended. Nothing else hangs on them: the job's record is settled before.
"""

from workplatform.endings import Next
from workplatform.errors import PlatformError
from workplatform.states import Status
from workplatform.store.records import Refusal


class AttemptFailedError(PlatformError):
    """The attempt did not complete its job; `is_final` says whether another one follows."""

    code = "attempt_failed"

    def __init__(self, message: str, *, is_final: bool) -> None:
        super().__init__(message, is_final=is_final)
        self.is_final = is_final


def raise_unless_completed(following: Next | None) -> None:
    """Raise AttemptFailedError for every ending but success; None is a job that was taken away."""
    if following is None:
        raise AttemptFailedError("the job was cancelled, or another attempt owns it", is_final=True)
    if following.status is not Status.COMPLETED:
        reason = following.error["message"] if following.error else following.message
        raise AttemptFailedError(reason or following.status.value, is_final=following.status.is_final)


def raise_refusal(refusal: Refusal) -> None:
    """Raise AttemptFailedError for a claim that was not granted."""
    is_final = refusal.reason in {status.value for status in Status if status.is_final}
    raise AttemptFailedError(f"not run: {refusal.reason}", is_final=is_final)
