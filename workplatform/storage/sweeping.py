"""Sweeping: removing what dead attempts of this node left on disk."""

from collections.abc import Callable

import structlog

from workplatform.errors import JobNotFoundError
from workplatform.states import Status
from workplatform.storage.journal import Journals
from workplatform.store.jobs import JobStore

_log = structlog.get_logger()


def sweep_dead_attempts(journals: Journals, store: JobStore, *, is_ours: Callable[[str, int], bool]) -> int:
    """Clear the journals of attempts that own their job no longer; returns how many were cleared.

    `is_ours` says whether an attempt runs in this process: its own end will clear it.
    """
    cleared = 0
    for journal in journals.all():
        if not is_ours(journal.job_id, journal.fence) and not _is_alive(store, journal.job_id, journal.fence):
            try:
                journal.clear()
            except OSError:
                _log.exception("sweep_failed", job_id=journal.job_id)
                continue
            _log.info("dead_attempt_swept", job_id=journal.job_id, fence=journal.fence)
            cleared += 1
    return cleared


def _is_alive(store: JobStore, job_id: str, fence: int) -> bool:
    try:
        record = store.get(job_id)
    except JobNotFoundError:
        return False
    return record.status is Status.RUNNING and record.fence == fence
