"""Expiry: the scheduler's step that removes the files of jobs that retention has removed.

The script that removes such a job notes its id; the note goes when the files are gone. So a scheduler that dies
leaves no file behind, and two at once do no harm.
"""

import threading
from collections.abc import Iterator
from datetime import timedelta
from os.path import realpath
from pathlib import Path
from typing import Any, Final

import structlog

from workplatform.errors import StoreUnavailableError
from workplatform.storage.expiring import Expiring
from workplatform.store.jobs import JobStore

_AT_ONCE: Final = 1000  # each time the payloads of all jobs that have not ended are read
_LATER: Final = timedelta(minutes=1)
_LONGEST_PATH: Final = 4096

_log = structlog.get_logger()


class Expiry:
    """Removes files below `data_dir`; relative paths in payloads are taken below `base`."""

    def __init__(self, store: JobStore, data_dir: Path, base: Path) -> None:
        self._store = store
        self._data_dir = data_dir
        self._base = base
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Do so in a thread of its own, unless the last one still does: disks, and many jobs, may take their time."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="expiry", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            self.tick()
        except StoreUnavailableError as error:
            _log.warning("expiry_waits", error=error.message)
        except Exception:  # noqa: BLE001 - the thread's edge: the next look tries again
            _log.exception("expiry_failed")

    def tick(self) -> None:
        """Remove the files of all jobs that are due, but for those that a job which has not ended names."""
        while job_ids := self._store.expiring.due(_AT_ONCE):
            ledgers = [Expiring(self._data_dir, job_id) for job_id in job_ids]
            used = self._used() if any(ledger.places() for ledger in ledgers) else set()
            gone = [ledger.job_id for ledger in ledgers if not ledger.is_used(used) and _is_removed(ledger)]
            left = [job_id for job_id in job_ids if job_id not in gone]
            if left:
                self._store.expiring.postpone(left, _LATER)
            if gone:
                self._store.expiring.done(gone)
            _log.debug("outputs_expired", jobs=len(gone), left=len(left))

    def _used(self) -> set[Path]:
        """Return every path that a job which has not ended names."""
        used: set[Path] = set()
        for payload in self._store.expiring.live_payloads():
            used.update(self._place(text) for text in _texts(payload) if _may_be_path(text))
        return used

    def _place(self, text: str) -> Path:
        return Path(realpath(self._base / text))


def _is_removed(ledger: Expiring) -> bool:
    """Remove the files of a job; what the disk does not let go is looked at later, and keeps no other job's here."""
    try:
        ledger.remove()
    except OSError as error:
        _log.warning("expiry_failed", job_id=ledger.job_id, error=str(error))
        return False
    return True


def _may_be_path(text: str) -> bool:
    return 0 < len(text) < _LONGEST_PATH and "\0" not in text and "://" not in text


def _texts(value: Any) -> Iterator[str]:
    """Give every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
