"""How a deploy that fails tells what it has put back."""

from typing import Final

from workplatform.errors import Cancelled, JobError, ShuttingDown

_SAID_ON_PURPOSE: Final = (Cancelled, ShuttingDown)


def raise_with(told: str, error: Exception) -> None:
    """Raise the error with what was put back at the end of its sentence, if it is one that a person reads."""
    if isinstance(error, JobError) and not isinstance(error, _SAID_ON_PURPOSE):
        raise type(error)(f"{error.message}; {told}", **error.data) from error
