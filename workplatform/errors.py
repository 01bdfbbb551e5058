"""Every error of the platform: one tree, each with a stable code and a sentence for a person."""

from typing import Any, ClassVar

from workplatform.wellformed import well_formed


class PlatformError(Exception):
    """Something went wrong in the platform."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str | None = None, **data: Any) -> None:
        self.message = well_formed(message or (type(self).__doc__ or "").strip().splitlines()[0])
        self.data = data
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.data)


def _rebuild(kind: type[PlatformError], message: str, data: dict[str, Any]) -> PlatformError:
    """Restore an error that crossed a process boundary, whatever its constructor looks like."""
    error = kind.__new__(kind)
    PlatformError.__init__(error, message, **data)
    return error


class SettingsError(PlatformError):
    """A setting has a value that cannot be used."""

    code = "settings"


class RegistryError(PlatformError):
    """A job type is declared wrongly."""

    code = "registry"


class AlreadyRunningError(PlatformError):
    """Another platform already uses this data directory or port."""

    code = "already_running"


class StoreUnavailableError(PlatformError):
    """The job store cannot be reached."""

    code = "store_unavailable"


class InvalidSubmissionError(PlatformError):
    """The submission is not valid.

    `problems` lists `{"pointer": "/payload/width", "detail": "..."}`, pointers by RFC 6901 into the submitted document.
    """

    code = "validation"

    def __init__(self, message: str, problems: list[dict[str, str]]) -> None:
        super().__init__(message, problems=problems)
        self.problems = problems


class JobNotFoundError(PlatformError):
    """There is no job with this id."""

    code = "job_not_found"


class QueueNotFoundError(PlatformError):
    """There is no queue of this name."""

    code = "queue_not_found"


class ScheduleNotFoundError(PlatformError):
    """There is no schedule of this name."""

    code = "schedule_not_found"


class IllegalTransitionError(PlatformError):
    """The job's status does not allow this."""

    code = "conflict"


class IdempotencyError(PlatformError):
    """This Idempotency-Key was used for another request: send the same body again, or take a new key."""

    code = "idempotency_key_reused"


class LeaseLostError(PlatformError):
    """This attempt no longer owns its job: another one runs it, or it has ended."""

    code = "lease_lost"


class JobError(PlatformError):
    """The job failed.

    What a handler may raise to end its attempt. `retryable` says whether trying again can help; the
    job type's retry policy decides whether that happens.
    """

    code = "error"
    retryable: ClassVar[bool] = True


class BadInputError(JobError):
    """The input cannot be used as it is."""

    code = "bad_input"
    retryable = False


class InputNotFoundError(JobError):
    """The input does not exist."""

    code = "not_found"
    retryable = False


class PathForbiddenError(JobError):
    """The path lies outside the folders that jobs may use."""

    code = "path_forbidden"
    retryable = False


class UrlForbiddenError(JobError):
    """The URL points to an address that the platform must not call."""

    code = "url_forbidden"
    retryable = False


class SourceRefusedError(JobError):
    """The source answered that it will not give the file."""

    code = "source_http_4xx"
    retryable = False


class SourceFailedError(JobError):
    """The source failed while it answered."""

    code = "source_http_5xx"


class SourceUnreachableError(JobError):
    """The source cannot be reached, or broke off the connection."""

    code = "source_unreachable"


class UnexpectedContentError(JobError):
    """The source gave something else than was asked for."""

    code = "unexpected_content"
    retryable = False


class ChecksumError(JobError):
    """What arrived does not have the checksum that was asked for."""

    code = "checksum"


class TooLargeError(JobError):
    """The file is larger than is allowed."""

    code = "too_large"
    retryable = False


class TooSlowError(JobError):
    """The source sends too slowly."""

    code = "too_slow"


class StorageError(JobError):
    """The storage failed."""

    code = "storage"


class StorageRefusedError(JobError):
    """The storage refused: no such bucket, not permitted, or not in the list of allowed buckets."""

    code = "storage_refused"
    retryable = False


class BrowserError(JobError):
    """The browser failed."""

    code = "browser"


class BrowserMissingError(JobError):
    """There is no browser on this node."""

    code = "browser_missing"
    retryable = False


class BuildFailedError(JobError):
    """The build failed."""

    code = "build_failed"
    retryable = False


class HealthCheckError(JobError):
    """The health check did not turn green."""

    code = "health_check"
    retryable = False


class EncoderError(JobError):
    """The encoder failed."""

    code = "encoder"


class NoSpaceError(JobError):
    """The disk is full."""

    code = "no_space"


class DeliveryError(JobError):
    """The receiver did not accept the request."""

    code = "delivery"


class DeliveryRefusedError(DeliveryError):
    """The receiver refused the request for good."""

    code = "delivery_refused"
    retryable = False


class ChildCrashedError(JobError):
    """The process that did the work died."""

    code = "crashed"


class CommandFailedError(JobError):
    """A program ended with an error."""

    code = "command_failed"


class WorkerLostError(JobError):
    """The worker that ran the job died."""

    code = "worker_lost"


class RetryLater(JobError):  # noqa: N818 - an ending said on purpose, not an error; named like Celery's Retry
    """The job asked to be tried again later.

    `delay_s` is the wait in seconds (>= 0); None lets the retry policy choose. With `is_asked`, as by Retry-After, it
    is at least half of the policy's: who asks for a second each time would use up all retries within a minute.
    """

    code = "retry_later"

    def __init__(self, message: str | None = None, *, delay_s: float | None = None, is_asked: bool = False) -> None:
        super().__init__(message, delay_s=delay_s, is_asked=is_asked)


class Discard(JobError):  # noqa: N818 - an ending said on purpose
    """The job was given up on purpose."""

    code = "discarded"
    retryable = False


class Cancelled(JobError):  # noqa: N818 - an ending said on purpose
    """The job was cancelled."""

    code = "cancelled"
    retryable = False


class ShuttingDown(JobError):  # noqa: N818 - an ending said on purpose
    """The worker is stopping; the job goes back to its queue and loses no attempt."""

    code = "shutting_down"
