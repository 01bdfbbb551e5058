"""Sweeping: removing what dead attempts of this node left on disk."""

from collections.abc import Callable
from enum import Enum, auto

import structlog

from workplatform.errors import JobNotFoundError
from workplatform.states import Status
from workplatform.storage.journal import Journal, Journals
from workplatform.store.jobs import JobStore

_log = structlog.get_logger()


def sweep_dead_attempts(journals: Journals, store: JobStore, *, is_ours: Callable[[str, int], bool]) -> int:
    """Clear the journals of attempts that own their job no longer; returns how many were cleared.

    `is_ours` says whether an attempt runs in this process: its own end will clear it.
    """
    cleared = 0
    for journal in journals.all():
        if is_ours(journal.job_id, journal.fence):
            continue
        state = _state(store, journal)
        if state is _Attempt.ALIVE:
            continue
        try:
            if not journal.clear(keep=state is _Attempt.REPEATED):
                continue
        except OSError:
            _log.exception("sweep_failed", job_id=journal.job_id)
            continue
        _log.info("dead_attempt_swept", job_id=journal.job_id, fence=journal.fence)
        cleared += 1
    return cleared


class _Attempt(Enum):
    ALIVE = auto()
    REPEATED = auto()  # dead, but its job goes on, and may go on with what it left
    OVER = auto()


def _state(store: JobStore, journal: Journal) -> _Attempt:
    try:
        record = store.get(journal.job_id)
    except JobNotFoundError:
        return _Attempt.OVER
    if record.status is Status.RUNNING and record.fence == journal.fence:
        return _Attempt.ALIVE
    return _Attempt.OVER if record.status.is_final else _Attempt.REPEATED
