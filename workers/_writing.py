"""Writing a finished result to disk."""

import errno
from pathlib import Path

from workplatform.errors import NoSpaceError


def write_file(path: Path, data: bytes) -> None:
    """Write the whole file. Raises NoSpaceError where the disk or the quota is full."""
    try:
        path.write_bytes(data)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpaceError from error
        raise
