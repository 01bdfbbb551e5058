"""Bonds between jobs: the errors of those that depend on others, and of groups that are not there."""

from workplatform.errors import JobError, PlatformError


class GroupNotFoundError(PlatformError):
    """There is no such flow or batch."""

    code = "group_not_found"


class DependencyError(JobError):
    """A job that this one depends on has not completed."""

    code = "dependency_failed"
    retryable = False


class InvalidPayloadError(JobError):
    """What another step has given back does not fit the payload."""

    code = "invalid_payload"
    retryable = False
