"""The command line's own error: a sentence and an exit code."""


class CommandError(Exception):
    """A command could not do what it was asked."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
