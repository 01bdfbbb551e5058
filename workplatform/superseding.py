"""Series of jobs: of a project's deploys only the newest one counts, so those before it are cancelled.

The store lets one job of a series run at a time and never claims a superseded one; this cancels them, as soon as the
newer one is there, and again when the scheduler meets one that was missed.
"""

from contextlib import suppress

import orjson

from workplatform.callbacks import Callbacks
from workplatform.errors import JobNotFoundError, StoreUnavailableError
from workplatform.registry import Registry
from workplatform.states import Status
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob, Record


class Superseding:
    """Cancels jobs that newer ones of their series have made pointless."""

    def __init__(self, registry: Registry, store: JobStore, callbacks: Callbacks) -> None:
        self._registry = registry
        self._store = store
        self._callbacks = callbacks

    def after(self, job: NewJob) -> None:
        """Cancel what a job that was just stored supersedes; what Redis does not let us do now, the scheduler does."""
        series = job.series
        if not series:
            return
        with suppress(StoreUnavailableError, JobNotFoundError):
            ids = self._store.series(series)
            older = ids[: ids.index(job.id)] if job.id in ids else []
            for other in older:
                self._cancel(self._store.get(other), by=job.id, spare_running=not self._takes_running(job))

    def finds(self, record: Record) -> bool:
        """Cancel a job that waits, if a newer one supersedes it; returns whether one does."""
        ids = self._store.series(record.series) if record.series else []
        if not ids or ids[-1] == record.id:
            return False
        self._cancel(record, by=ids[-1], spare_running=True)
        return True

    def _cancel(self, record: Record, *, by: str, spare_running: bool) -> None:
        callbacks = self._callbacks.for_ending(record, status=Status.CANCELLED)
        self._store.cancel(record.id, message=f"superseded by {by}", callbacks=callbacks, spare_running=spare_running)

    def _takes_running(self, job: NewJob) -> bool:
        declared = self._registry[job.type]
        payload = declared.payload_model.model_validate(orjson.loads(job.spec)["payload"])
        return declared.cancels_running is not None and declared.cancels_running(payload)
