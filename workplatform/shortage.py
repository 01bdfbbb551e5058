"""Shortage: telling the errors that a full disk causes."""

import errno

from workplatform.errors import NoSpaceError


def is_out_of_space(error: OSError) -> bool:
    """Whether a file operation failed for lack of disk space or quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def is_caused_by_lack_of_space(error: BaseException) -> bool:
    """Whether an error comes from a file operation that failed for lack of space, in itself or as what caused it."""
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and is_out_of_space(cause)):
        cause = cause.__cause__
    return cause is not None and not isinstance(error, NoSpaceError)
