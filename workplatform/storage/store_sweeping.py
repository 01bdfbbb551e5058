"""Sweeping a store: removing the uploads and staged objects that dead attempts of this node left there."""

import threading
from collections.abc import Callable

import structlog

from workplatform.errors import JobError, JobNotFoundError, PlatformError
from workplatform.sockets import no_watch
from workplatform.states import Status
from workplatform.storage.s3 import S3
from workplatform.storage.s3_output import remove_trace
from workplatform.storage.traces import TraceFolder, Traces
from workplatform.store.jobs import JobStore

_TRIES = 2

_log = structlog.get_logger()


class StoreSweeper:
    """Clears the traces of attempts that own their job no longer, beside the heart: a store may take its time.

    `is_ours` says whether an attempt runs in this process: its own end will clear it.
    """

    def __init__(self, traces: TraceFolder, s3: S3, jobs: JobStore, *, is_ours: Callable[[str, int], bool]) -> None:
        self._traces = traces
        self._s3 = s3
        self._jobs = jobs
        self._is_ours = is_ours
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Sweep in a thread of its own, unless there is nothing to sweep or the last one still does."""
        is_busy = self._thread is not None and self._thread.is_alive()
        if not is_busy and any(True for _ in self._traces.all()):
            self._thread = threading.Thread(target=self._run, name="store_sweeper", daemon=True)
            self._thread.start()

    def sweep(self) -> int:
        """Clear what is dead; returns how many attempts were cleared. What a store refuses now is tried next time."""
        return sum(self._clear(traces) for traces in self._traces.all() if self._is_dead(traces))

    def _run(self) -> None:
        try:
            self.sweep()
        except PlatformError as error:
            _log.warning("store_sweep_failed", error=error.message)
        except Exception:  # noqa: BLE001 - the thread's edge: the next sweep tries again
            _log.exception("store_sweep_broke")

    def _is_dead(self, traces: Traces) -> bool:
        if self._is_ours(traces.job_id, traces.fence):
            return False
        try:
            record = self._jobs.get(traces.job_id)
        except JobNotFoundError:
            return True
        return record.status is not Status.RUNNING or record.fence != traces.fence

    def _clear(self, traces: Traces) -> bool:
        try:
            with self._s3.lane(no_watch, tries=_TRIES) as lane:
                for trace in traces.noted():
                    self._s3.check(trace.place)
                    remove_trace(lane, trace)
        except JobError as error:
            _log.warning("uploads_stay", job_id=traces.job_id, fence=traces.fence, error=error.message)
            return False
        traces.forget()
        _log.info("dead_uploads_swept", job_id=traces.job_id, fence=traces.fence)
        return True
