"""Pipes through which the kernel moves bytes from one place to another."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def pipe_of(size: int) -> Iterator[tuple[int, int]]:
    """Open a pipe that holds `size` bytes if the system lets it, and yield its ends for reading and for writing."""
    out, into = os.pipe2(os.O_CLOEXEC)
    try:
        with suppress(PermissionError):  # this user's pipes are large enough together
            fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, size)
        yield out, into
    finally:
        os.close(out)
        os.close(into)
