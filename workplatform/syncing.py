"""Bringing the embedded server's append-only file to the disk, once a second.

The server could do it itself, by `appendfsync everysec`. But as long as such a sync lasts it keeps what it has to write
to itself, for up to two seconds, and answers nevertheless: killed then, it takes with it what it has acknowledged (see
flushAppendOnlyFile in Valkey's src/aof.c). With `appendfsync no` it always writes before it answers, and what a
process has written outlives the process. Syncing is then left to others: anybody who opens the file can do it. What
that costs: a write that comes during a sync may have to wait for the disk.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

_EVERY_S: Final = 1.0

_log = structlog.get_logger()


class Syncer:
    """Syncs the append-only files in a folder, each only if it has grown since."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._synced: dict[tuple[int, int], int] = {}

    def sync(self) -> int:
        """Bring to the disk what is not there yet; returns the number of files that were synced.

        Raises OSError if the disk fails.
        """
        sizes = {}
        synced = 0
        for path in self._folder.glob("*.incr.aof"):
            with suppress(FileNotFoundError), path.open("rb") as file:  # a rewriting removes files
                known = os.fstat(file.fileno())
                if self._synced.get((known.st_dev, known.st_ino)) != known.st_size:
                    os.fsync(file.fileno())
                    synced += 1
                sizes[known.st_dev, known.st_ino] = known.st_size
        self._synced = sizes
        return synced


@contextmanager
def syncing(folder: Path) -> Iterator[None]:
    """Sync the append-only files in a folder every second, for the length of a `with` block and once at its end."""
    stop = threading.Event()
    thread = threading.Thread(target=_sync_on, args=(Syncer(folder), stop), name="syncing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _sync_on(syncer: Syncer, stop: threading.Event) -> None:
    is_over = False
    while not is_over:
        is_over = stop.wait(_EVERY_S)
        try:
            syncer.sync()
        except Exception as error:  # noqa: BLE001 - the thread's edge: the next second may be a better one
            _log.error("sync_failed", error=str(error))
