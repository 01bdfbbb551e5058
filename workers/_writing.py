"""Writing a finished result to disk."""

from pathlib import Path

from workplatform.errors import NoSpaceError
from workplatform.shortage import is_out_of_space


def write_file(path: Path, data: bytes) -> None:
    """Write the whole file. Raises NoSpaceError where the disk or the quota is full."""
    try:
        path.write_bytes(data)
    except OSError as error:
        if is_out_of_space(error):
            raise NoSpaceError from error
        raise
