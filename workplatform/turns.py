"""Turns: the ending of an attempt that found no place, and comes back when it may expect one."""

from workplatform.errors import JobError


class NotYet(JobError):  # noqa: N818 - an ending said on purpose
    """The job has to wait for its turn; it comes back by itself and loses no attempt.

    `delay_s` is the wait in seconds (> 0).
    """

    code = "not_yet"

    def __init__(self, message: str | None = None, *, delay_s: float = 1.0) -> None:
        super().__init__(message, delay_s=delay_s)
