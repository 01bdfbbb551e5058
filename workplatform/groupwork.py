"""Group work: what the scheduler does about flows, batches and jobs that depend on others.

Scripts do what needs no Python. A job that has to end with its parent, the end of a group, and a group that is being
cancelled or retried are noted in Redis by the script that finds them, so any scheduler may go on where another died.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog

from workplatform.bonds import DependencyError, GroupNotFoundError
from workplatform.bulkhead import Bulkhead
from workplatform.callbacks import Callbacks
from workplatform.clock import CLOCK
from workplatform.endings import describe
from workplatform.errors import JobNotFoundError
from workplatform.fingerprints import kept_error
from workplatform.groupwire import callback_body, status_of
from workplatform.states import Event, Status
from workplatform.store.jobs import JobStore
from workplatform.store.records import Record, Settlement
from workplatform.submission import Submitter

_BATCH: Final = 200
_MOST: Final = 600  # a tick has other work than the children of one job
_ROUNDS: Final = 100  # as many steps as a flow may have one after the other

_log = structlog.get_logger()


class GroupWork:
    """The steps; each may be called at any time, by any number of schedulers."""

    def __init__(self, store: JobStore, submitter: Submitter, callbacks: Callbacks) -> None:
        self._store = store
        self._submitter = submitter
        self._callbacks = callbacks
        self._bulkhead = Bulkhead()

    def tick(self) -> None:
        """Do what is due now; where a job's end makes others end, those too."""
        due = self._store.groups.due(_BATCH)
        for name in due.work:
            self._bulkhead.run(name, self.go_on, name)
        looked_at: set[str] = set()
        for _ in range(_ROUNDS):
            doomed = [job_id for job_id in due.doomed if job_id not in looked_at]
            self._end_children(doomed)
            for name in due.endings:
                self._bulkhead.run(name, self._tell, name)
            looked_at.update(doomed)
            if len(looked_at) >= _MOST or not (doomed or due.releasing):
                return
            due = self._store.groups.due(_BATCH)

    def go_on(self, name: str, *, most: int = _BATCH) -> None:
        """Cancel or retry some `most` jobs of a group for which that has begun."""
        groups = self._store.groups
        work = groups.next_work(name, most=most)
        while work is not None:
            records = groups.records(work.job_ids)
            found = [records[job_id] for job_id in work.job_ids if job_id in records]
            if work.work == "cancel":
                self._cancel(found, message=f"cancelled with its {name.partition(':')[0]}")
            else:
                groups.retry_members(name, [(record.id, self._submitter.wakeup(record)) for record in found])
            most -= len(work.job_ids)
            work = groups.next_work(name, most=max(most, 1), done=work.last or None)
            if most <= 0:
                return

    def _cancel(self, records: Sequence[Record], *, message: str) -> None:
        for record in records:
            callbacks = self._callbacks.for_ending(record, status=Status.CANCELLED)
            with suppress(JobNotFoundError):
                self._store.cancel(record.id, message=message, callbacks=callbacks)

    def _end_children(self, job_ids: Sequence[str]) -> None:
        found = self._store.groups.readable(job_ids)
        dooms = dict.fromkeys(record.doom for record in found.values() if record.doom)
        parents = self._store.groups.readable(list(dooms))
        for job_id in job_ids:
            self._bulkhead.run(job_id, self._end_child, job_id, found.get(job_id), parents)

    def _end_child(self, job_id: str, record: Record | None, parents: Mapping[str, Record]) -> None:
        """Fail or cancel a job one of whose parents has not completed, as it asked for."""
        if record is None or record.doom is None:
            self._store.groups.end_child(job_id, "", Settlement(Status.CANCELLED, Event.CANCELLED, "nothing"))
            return
        parent = parents.get(record.doom)
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
        said = kept_error(record.type, describe(error), record.spec) if error else b""
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
