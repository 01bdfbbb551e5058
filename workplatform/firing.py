"""Firing: makes the jobs of schedules, each moment's once, with any number of schedulers.

Python finds the next moment and prepares the job; one script moves the schedule on and makes the job if the schedule
still stands at the moment that Python saw. Of two schedulers one is refused; one that dies has done all or nothing.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from secrets import randbelow
from typing import Any, Final

import orjson
import structlog

from workplatform.bulkhead import Bulkhead
from workplatform.callbacks import Callbacks
from workplatform.errors import (
    IllegalTransitionError,
    InvalidSubmissionError,
    JobNotFoundError,
)
from workplatform.refusals import QueueDrainingError
from workplatform.schedules import Schedule, first_to_fire, next_fire
from workplatform.states import Status
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob
from workplatform.store.schedules import Entry, Fire, Fired
from workplatform.submission import Submitter, checked
from workplatform.superseding import Superseding
from workplatform.wire import timestamp

_BATCH: Final = 100
_MOMENTS: Final = 10  # a tick has other work than one schedule that was away for long
_TRIES: Final = 5

_log = structlog.get_logger()


class Firing:
    """Fires schedules when their moment comes, and on request."""

    def __init__(
        self, *, store: JobStore, submitter: Submitter, callbacks: Callbacks, superseding: Superseding
    ) -> None:
        self._store = store
        self._submitter = submitter
        self._callbacks = callbacks
        self._superseding = superseding
        self._bulkhead = Bulkhead()
        self._unreadable: set[tuple[str, str]] = set()

    def tick(self) -> None:
        """Fire what is due now."""
        now, entries = self._store.schedules.due(_BATCH)
        for entry in entries:
            if (schedule := self._read(entry)) is not None:
                self._bulkhead.run(entry.name, self._catch_up, entry, schedule, now)

    def now(self, name: str) -> Fired:
        """Make a schedule's job at once, and leave its moments as they are.

        Raises ScheduleNotFoundError, InvalidSubmissionError, QueueDrainingError, or IllegalTransitionError if the last
        job is not to be overlapped.
        """
        for _ in range(_TRIES):
            entry = self._store.schedules.get(name)
            fired = self._fire(entry, checked(Schedule, entry.spec, ""), due=None, following=None)
            if fired.outcome == "overlap":
                raise IllegalTransitionError(f"its job {fired.job_id} has not ended, and it does not overlap")
            if fired.outcome == "draining":
                raise QueueDrainingError
            if fired.outcome != "gone":
                return fired
        raise IllegalTransitionError("the schedule is changing all the time")

    def latest_job(self, document: dict[str, Any], jitter_ms: int) -> NewJob:
        """Prepare a schedule's job as if its jitter were the longest; raises InvalidSubmissionError."""
        delay = (document.get("delay") or 0) + jitter_ms
        return self._submitter.prepare({**document, "delay": delay} if delay else document)

    def _read(self, entry: Entry) -> Schedule | None:
        """Return what an entry says, or None if this process cannot use it; another one perhaps can."""
        try:
            return checked(Schedule, entry.spec, "")
        except InvalidSubmissionError as error:
            # Such as a time zone that is not known on this machine. It stays due, so that it is told once only.
            if (entry.name, entry.revision) not in self._unreadable:
                self._unreadable.add((entry.name, entry.revision))
                _log.error("schedule_unreadable", schedule=entry.name, error=error.message)
            return None

    def _catch_up(self, entry: Entry, schedule: Schedule, now: datetime) -> None:
        """Fire the moments of a schedule that have come, until somebody else does; what is left waits for a tick."""
        for _ in range(_MOMENTS):
            if entry.next_at is None or entry.next_at > now:
                return
            wanted = first_to_fire(schedule, entry.next_at, now, created=entry.created_at)
            if wanted != entry.next_at:
                message = f"nobody was there to fire; went on with {timestamp(wanted)}"
                if not self._pass(entry, wanted, "missed", message):
                    return
                entry = replace(entry, next_at=wanted)
                continue
            following = next_fire(schedule, wanted, created=entry.created_at)
            try:
                fired = self._fire(entry, schedule, due=wanted, following=following)
            except InvalidSubmissionError as error:
                if not self._pass(entry, following, "refused", error.message):
                    return
            else:
                if fired.outcome == "gone":
                    return
                if fired.outcome == "created":
                    entry = replace(entry, last_job=fired.job_id)
            entry = replace(entry, next_at=following)

    def _fire(self, entry: Entry, schedule: Schedule, *, due: datetime | None, following: datetime | None) -> Fired:
        # On request it begins at once.
        job = self._job(schedule, jitter_ms=(schedule.jitter or 0) if due else 0).submitted_by(entry.by)
        jobs = [job, *self._callbacks_of(entry.last_job)] if schedule.overlap == "replace" else [job]
        fire = Fire(due=due, following=following, overlap=schedule.overlap, jobs=jobs)
        fired = self._store.schedules.fire(entry, fire)
        if fired.outcome == "created":
            self._superseding.after(job)
        if fired.outcome != "gone":
            _log.info("schedule_fired", schedule=entry.name, outcome=fired.outcome, job_id=fired.job_id)
        return fired

    def _pass(self, entry: Entry, following: datetime | None, outcome: str, message: str) -> bool:
        """Let the next moment pass without a job; False if somebody else has dealt with it."""
        note = {"outcome": outcome, "message": message}
        fired = self._store.schedules.fire(entry, Fire(due=entry.next_at, following=following, note=note))
        if fired.outcome == "gone":
            return False
        _log.warning("schedule_passed", schedule=entry.name, outcome=outcome, message=message)
        return True

    def _job(self, schedule: Schedule, *, jitter_ms: int) -> NewJob:
        job = self.latest_job(schedule.job, randbelow(jitter_ms + 1))
        spec = orjson.loads(job.spec)
        spec["tags"] = [*spec.get("tags", ()), f"schedule:{schedule.name}"]
        return job._replace(spec=orjson.dumps(spec))

    def _callbacks_of(self, job_id: str) -> Iterable[NewJob]:
        """Prepare the callbacks of a job for the case that it is cancelled."""
        try:
            record = self._store.get(job_id)
        except JobNotFoundError:
            return ()
        return self._callbacks.for_ending(record, status=Status.CANCELLED)
