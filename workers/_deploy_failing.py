"""How a deploy that fails tells what it has put back."""

from typing import Final

from workplatform.errors import BuildFailedError, CommandFailedError, HealthCheckError
from workplatform.lateness import TimeLimitError

_TOLD: Final = (BuildFailedError, HealthCheckError, TimeLimitError, CommandFailedError)


def raise_with(told: str, error: Exception) -> None:
    """Raise the error with what was put back at the end of its sentence, if that is about the deploy itself."""
    if isinstance(error, _TOLD):
        raise type(error)(f"{error.message}; {told}") from error
