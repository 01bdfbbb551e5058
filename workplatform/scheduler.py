"""The scheduler: one loop that moves what time moves. Any number may run; every step is an atomic script.

It fires schedules, promotes due jobs, takes jobs from workers whose lease ran out, finds queued jobs that lost their
message, and removes what retention has outlived.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

import orjson
import structlog

from workplatform import embedded
from workplatform.alive import SignOfLife
from workplatform.bootstrap import Platform
from workplatform.bulkhead import Bulkhead
from workplatform.callbacks import CALLBACK_TYPE
from workplatform.doorkeeping import Doorkeeper
from workplatform.endings import after_failure, describe, expiry
from workplatform.errors import JobNotFoundError, StoreUnavailableError, WorkerLostError
from workplatform.fingerprints import kept_error
from workplatform.states import Status
from workplatform.store.keys import PRIORITIES
from workplatform.store.library import remove_others
from workplatform.store.records import NewJob, Record, Settlement
from workplatform.superseding import Superseding

_TICK_S: Final = 0.1
_BREATH_S: Final = 0.01  # between ticks of which one was not enough
_LOST_EVERY_S: Final = 1.0
_SWEEP_EVERY_S: Final = 5.0
_BATCH: Final = 200
_MESSAGE_PATIENCE: Final = timedelta(seconds=5)
_MERCY_S: Final = 5.0

_log = structlog.get_logger()


class Scheduler:
    """The loop's steps; each may be called at any time, by any number of schedulers."""

    def __init__(self, platform: Platform) -> None:
        self._store = platform.store
        self._submitter = platform.submitter
        self._callbacks = platform.callbacks
        self._firing = platform.firing
        self._group_work = platform.group_work
        self._doorkeeper = Doorkeeper(platform.limits, platform.store.limits, platform.settings.redis_memory_share)
        self._superseding = Superseding(platform.registry, platform.store, platform.callbacks)
        self._queues = sorted(platform.registry.queues)
        self._sweeping = platform.sweeping
        self._expiry = platform.expiry
        self._retrying = platform.retrying
        self._bulkhead = Bulkhead()
        self._no_reaping_before = 0.0
        self._next: dict[Callable[[], None], float] = {}

    def tick(self) -> bool:
        """Do what is due now; returns whether there was more of it than one tick takes."""
        due = self._store.due(_BATCH)
        self._each(self._expire, due.expired)
        self._promote(due.scheduled)
        if time.monotonic() >= self._no_reaping_before:
            self._each(self._reap, due.lapsed)
        for tick in (self._firing.tick, self._group_work.tick, self._retrying.tick, self._doorkeeper.tick):
            self._bulkhead.run("", tick)
        self._every(_LOST_EVERY_S, self._find_lost)
        self._every(_SWEEP_EVERY_S, self._sweep)
        self._every(_SWEEP_EVERY_S, self._expiry.start)
        return _BATCH in (len(due.expired), len(due.scheduled))

    def have_mercy(self) -> None:
        """Take no job from its worker for some seconds: after an outage workers need a moment to renew."""
        self._no_reaping_before = time.monotonic() + _MERCY_S

    def _promote(self, job_ids: Sequence[str]) -> None:
        """Queue jobs whose moment has come, in one step; those of a series only if no newer one supersedes them."""
        found = self._store.groups.readable(job_ids)
        self._each(self._record, [job_id for job_id in job_ids if job_id not in found])  # tells why it cannot be read
        plain = [record for record in found.values() if not record.series]
        if plain:
            self._store.promote_all([(record.id, self._submitter.wakeup(record)) for record in plain])
        for record in found.values():
            if record.series:
                self._bulkhead.run(record.id, self._promote_newest, record)

    def _promote_newest(self, record: Record) -> None:
        if not self._superseding.finds(record):
            self._store.promote(record.id, self._submitter.wakeup(record))

    def _expire(self, job_id: str) -> None:
        """Fail a job that has not begun, or not ended, in time."""
        record = self._record(job_id)
        if record is None:
            return
        error = expiry(record)
        callbacks = self._callbacks.for_ending(record, status=Status.FAILED, error=error.message)
        kept = kept_error(record.type, describe(error), record.spec)
        if self._store.expire(job_id, message=error.message, error=kept, callbacks=callbacks):
            _log.info("job_expired", job_id=job_id, code=error.code)

    def _reap(self, job_id: str) -> None:
        """Give a job whose worker is silent to another one, or fail it if its attempts are used up."""
        record = self._record(job_id)
        if record is None:
            return
        error = WorkerLostError(f"worker {record.worker} went silent in attempt {record.attempts}")
        policy = self._submitter.policy(record.type, record.spec)
        following = after_failure(error, retries=record.retries, policy=policy)
        callbacks: list[NewJob] = []
        if following.status.is_final:
            callbacks = self._callbacks.for_ending(record, status=following.status, error=error.message)
        settlement = Settlement(
            status=following.status,
            event=following.event,
            costs=following.costs,
            message=following.message,
            error=kept_error(record.type, following.error or {}, record.spec),
            wakeup=self._submitter.wakeup(record),
            callbacks=callbacks,
            found=orjson.dumps({"error": error.message}) if record.type == CALLBACK_TYPE else b"",
        )
        if self._store.reap(job_id, record.fence, settlement):
            _log.warning("worker_lost", job_id=job_id, worker=record.worker, status=following.status.value)

    def _find_lost(self) -> None:
        for queue in self._queues:
            for priority in PRIORITIES:
                lost = self._store.lost(queue, priority, patience=_MESSAGE_PATIENCE, most=_BATCH)
                self._each(self._repush, lost)

    def _repush(self, job_id: str) -> None:
        record = self._record(job_id)
        if record and self._store.repush(job_id, self._submitter.wakeup(record)):
            _log.warning("message_lost", job_id=job_id, queue=record.queue)

    def _record(self, job_id: str) -> Record | None:
        try:
            return self._store.get(job_id)
        except JobNotFoundError:
            return None

    def _each(self, step: Callable[[str], object], job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            self._bulkhead.run(job_id, step, job_id)

    def _sweep(self) -> None:
        if self._sweeping.tick():
            self._next[self._sweep] = time.monotonic() + _TICK_S

    def _every(self, period_s: float, step: Callable[[], None]) -> None:
        now = time.monotonic()
        if now >= self._next.get(step, 0.0):
            self._next[step] = now + period_s
            self._bulkhead.run("", step)


def run(platform: Platform) -> int:
    """Run the loop until SIGTERM; returns the exit code."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    scheduler = Scheduler(platform)
    remove_others(platform.connector.client, platform.settings.key_prefix)
    sign = SignOfLife(platform.settings.alive_folder, "scheduler")
    _log.info("scheduler_started")
    with embedded.syncing_by_settings(platform.settings):
        _loop(scheduler, sign, stop)
    platform.close()
    sign.remove()
    return 0


def _loop(scheduler: Scheduler, sign: SignOfLife, stop: threading.Event) -> None:
    pause_s = _TICK_S
    while not stop.wait(pause_s):
        sign.touch()
        try:
            pause_s = _BREATH_S if scheduler.tick() else _TICK_S
        except StoreUnavailableError as error:
            _log.warning("scheduler_waits", error=str(error))
            scheduler.have_mercy()
            stop.wait(1.0)
        except Exception:  # noqa: BLE001 - the loop's edge: a mistake of ours must not stop every other job
            _log.exception("scheduler_step_failed")
            stop.wait(1.0)
