"""Lateness: the errors of jobs that took, or waited, too long."""

from workplatform.errors import JobError


class TimeLimitError(JobError):
    """The job ran longer than its time limit."""

    code = "timeout"


class StalledError(JobError):
    """The attempt showed no progress and wrote nothing for longer than its job allows."""

    code = "stalled"


class ExpiredError(JobError):
    """The job has not begun in time."""

    code = "expired"
    retryable = False


class DeadlineError(JobError):
    """The job has not ended in time."""

    code = "deadline"
    retryable = False
