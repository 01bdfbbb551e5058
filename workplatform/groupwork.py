"""Group work: what the scheduler does about flows, batches and jobs that depend on others.

Scripts do what needs no Python. A job that has to end with its parent, the end of a group, and a group that is being
cancelled or retried are noted in Redis by the script that finds them, so any scheduler may go on where another died.
"""

from contextlib import suppress
from typing import Final

import structlog

from workplatform.bonds import DependencyError, GroupNotFoundError
from workplatform.callbacks import Callbacks
from workplatform.clock import CLOCK
from workplatform.endings import describe
from workplatform.errors import JobNotFoundError
from workplatform.fingerprints import kept_error
from workplatform.groupwire import callback_body, status_of
from workplatform.states import Event, Status
from workplatform.store.groups import GroupWork as Work
from workplatform.store.jobs import JobStore
from workplatform.store.records import Record, Settlement
from workplatform.submission import Submitter

_BATCH: Final = 200
_ROUNDS: Final = 100  # as many steps as a flow may have one after the other

_log = structlog.get_logger()


class GroupWork:
    """The steps; each may be called at any time, by any number of schedulers."""

    def __init__(self, store: JobStore, submitter: Submitter, callbacks: Callbacks) -> None:
        self._store = store
        self._submitter = submitter
        self._callbacks = callbacks

    def tick(self) -> None:
        """Do what is due now; where a job's end makes others end, those too."""
        due = self._store.groups.due(_BATCH)
        for name in due.work:
            self.go_on(name, most=_BATCH)
        for _ in range(_ROUNDS):
            for job_id in due.doomed:
                self._end_child(job_id)
            for name in due.endings:
                self._tell(name)
            if not due.doomed and not due.releasing:
                return
            due = self._store.groups.due(_BATCH)

    def go_on(self, name: str, *, most: int) -> None:
        """Cancel or retry some `most` jobs of a group for which that has begun."""
        work = self._store.groups.next_work(name, most=most)
        while work is not None:
            for job_id in work.job_ids:
                with suppress(JobNotFoundError):
                    self._work_on(self._store.get(job_id), name, work)
            most -= len(work.job_ids)
            work = self._store.groups.next_work(name, most=max(most, 1), done=work.last or None)
            if most <= 0:
                return

    def _work_on(self, record: Record, name: str, work: Work) -> None:
        if work.work == "retry":
            self._store.retry(record.id, self._submitter.wakeup(record))
            return
        message = f"cancelled with its {name.partition(':')[0]}"
        callbacks = self._callbacks.for_ending(record, status=Status.CANCELLED)
        self._store.cancel(record.id, message=message, callbacks=callbacks)

    def _end_child(self, job_id: str) -> None:
        """Fail or cancel a job one of whose parents has not completed, as it asked for."""
        found = self._store.groups.records([job_id])
        record = found.get(job_id)
        if record is None or record.doom is None:
            self._store.groups.end_child(job_id, "", Settlement(Status.CANCELLED, Event.CANCELLED, "nothing"))
            return
        parent = self._store.groups.records([record.doom]).get(record.doom)
        told = f"{_named(record.doom, parent)}, on which it depends, {_how(parent)}"
        if record.on_parent_failure == "skip":
            ending = self._ending(record, Status.CANCELLED, Event.CANCELLED, f"skipped: {told}", None)
        else:
            ending = self._ending(record, Status.FAILED, Event.FAILED, told, DependencyError(told))
        if self._store.groups.end_child(job_id, record.doom, ending):
            _log.info("job_ended_with_parent", job_id=job_id, parent=record.doom, status=ending.status.value)

    def _ending(
        self, record: Record, status: Status, event: Event, message: str, error: DependencyError | None
    ) -> Settlement:
        callbacks = self._callbacks.for_ending(record, status=status, error=message if error else None)
        said = kept_error(record.type, describe(error)) if error else b""
        return Settlement(status, event, "nothing", message=message, error=said, callbacks=callbacks)

    def _tell(self, name: str) -> None:
        """Tell the end of a group, unless it has been opened again."""
        try:
            group = self._store.groups.get(name)
        except GroupNotFoundError:
            return
        if group.finished_at is None:
            return
        steps = [step["id"] for step in group.spec["steps"].values()] if group.is_flow else []
        body = callback_body(group, self._store.groups.records(steps), at=CLOCK.now())
        callbacks = self._callbacks.for_group(name, group.spec, status=status_of(group), body=body)
        if self._store.groups.tell(group, callbacks):
            _log.info("group_ended", group=name, status=status_of(group).value)


def _named(parent_id: str, parent: Record | None) -> str:
    step = parent.spec.get("step") if parent else None
    return f"step {step} ({parent_id})" if step else f"job {parent_id}"


def _how(parent: Record | None) -> str:
    if parent is None or parent.status is Status.CANCELLED:
        return "was cancelled" if parent else "is gone"
    return f"has failed: {parent.error['message']}"[:500] if parent.error else "has failed"
