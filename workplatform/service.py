"""All that the API, the CLI and the scheduler may ask of the platform."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from workplatform.callbacks import Callbacks
from workplatform.clock import CLOCK
from workplatform.editing import edit_documents
from workplatform.errors import IdempotencyError, IllegalTransitionError, JobNotFoundError, QueueNotFoundError
from workplatform.masking import masked_fields
from workplatform.registry import Registry
from workplatform.roster import roster
from workplatform.states import Status
from workplatform.store.events import EventLog
from workplatform.store.jobs import JobStore
from workplatform.store.records import CommittedOutput, Created, CreatedOnce, LogLine, NewJob, Page, QueueStates, Record
from workplatform.submission import Submitter
from workplatform.superseding import Superseding
from workplatform.wire import job_document

_REMEMBERED: Final = timedelta(hours=24)
_PURGED_AT_MOST: Final = 10_000
_NOT_BEGUN: Final = (Status.QUEUED, Status.WAITING, Status.SCHEDULED)


@dataclass(frozen=True, slots=True)
class Listing:
    """Jobs as documents, the numbers around them, and where the next page starts."""

    jobs: list[dict[str, Any]]
    total: int
    counts: Mapping[Status, int]
    next_cursor: str | None


class JobService:
    """The use cases. Every method may raise StoreUnavailableError."""

    def __init__(
        self, *, registry: Registry, store: JobStore, events: EventLog, submitter: Submitter, callbacks: Callbacks
    ) -> None:
        self.registry = registry
        self.events = events
        self._store = store
        self._submitter = submitter
        self._callbacks = callbacks
        self._superseding = Superseding(registry, store, callbacks)

    def prepare(self, document: object) -> NewJob:
        """Check one submission, storing nothing; raises InvalidSubmissionError."""
        return self._submitter.prepare(document)

    def create(self, jobs: Sequence[NewJob]) -> Created:
        """Store prepared jobs in one atomic step."""
        created = self._store.create(jobs)
        for job in jobs:
            self._superseding.after(job)
        return created

    def create_once(self, jobs: Sequence[NewJob], *, key: str, fingerprint: str) -> CreatedOnce:
        """Store prepared jobs in one atomic step, or return what the first request with this key has stored.

        Raises IdempotencyError if that request was another one.
        """
        once = self._store.create_once(jobs, key=key, fingerprint=fingerprint, remembered=_REMEMBERED)
        if once.fingerprint != fingerprint:
            raise IdempotencyError
        if not once.is_replay:
            for job in jobs:
                self._superseding.after(job)
        return once

    def get(self, job_id: str) -> dict[str, Any]:
        """Return a job as a document; raises JobNotFoundError."""
        record = self._store.get(job_id)
        return self._document(record, self._queues([record]))

    def snapshots(self, job_ids: Sequence[str]) -> tuple[str, list[dict[str, Any]]]:
        """Return the id of the newest event, and those of the jobs that exist as they stood at it."""
        event_id, records = self.events.snapshot(job_ids)
        return event_id, list(self.documents(records))

    def jobs(self, job_ids: Sequence[str]) -> Sequence[dict[str, Any]]:
        """Return those of the jobs that exist as documents, in their order."""
        found = self._store.groups.records(job_ids)
        return self.documents([found[job_id] for job_id in job_ids if job_id in found])

    def documents(self, records: Sequence[Record]) -> Sequence[dict[str, Any]]:
        """Return jobs as documents."""
        queues = self._queues(records)
        return [self._document(record, queues) for record in records]

    def list(self, *, job_type: str = "", status: str = "", limit: int = 20, cursor: str = "") -> Listing:
        """Return a page of jobs, newest first."""
        page = self._store.page(job_type=job_type, status=status, limit=limit, below=cursor)
        wanted = {key: n for key, n in page.counts.items() if job_type in ("", key[0]) and status in ("", key[1])}
        return Listing(
            jobs=[self._document(record, page.queues) for record in page.records],
            total=sum(wanted.values()),
            counts=_by_status(page, job_type),
            next_cursor=page.records[-1].id if page.has_more else None,
        )

    def cancel(self, job_id: str) -> Status:
        """Cancel a job; raises JobNotFoundError, or IllegalTransitionError if it has ended otherwise."""
        record = self._store.get(job_id)
        callbacks = self._callbacks.for_ending(record, status=Status.CANCELLED, duration_ms=_elapsed_ms(record))
        done, before = self._store.cancel(job_id, message="cancelled on request", callbacks=callbacks)
        if not done and before != Status.CANCELLED:
            raise IllegalTransitionError(f"the job has already ended: it is {before}")
        return Status.CANCELLED

    def outputs(self, job_id: str) -> Sequence[CommittedOutput]:
        """Return what a job has made; raises JobNotFoundError."""
        return self._store.get(job_id).outputs

    def logs(self, job_id: str, *, after: str = "", limit: int = 1000) -> Sequence[LogLine]:
        """Return lines of a job's log, oldest first; raises JobNotFoundError."""
        lines = self._store.logs(job_id, after=after, limit=limit)
        if not lines:
            self._store.get(job_id)
        return lines

    def stats(self) -> dict[str, Any]:
        """Return counts by status and type, and what serves which queue."""
        page = self._store.page(limit=0)
        types: dict[str, dict[str, int]] = {}
        for (job_type, status), number in sorted(page.counts.items()):
            types.setdefault(job_type, {})[status] = number
        queues = {
            queue: {
                "types": [declared.name for declared in declared_types],
                "served": queue in page.queues.served,
                "paused": queue in page.queues.paused,
                "draining": queue in page.queues.draining,
                **_load([types.get(declared.name, {}) for declared in declared_types]),
            }
            for queue, declared_types in self.registry.queues.items()
        }
        return {"jobs": _by_status(page, ""), "types": types, "queues": queues, "total": sum(page.counts.values())}

    def workers(self, *, queue: str = "", node: str = "") -> dict[str, Any]:
        """Return the live workers (of a queue, of a node), and what they add up to by node and by queue."""
        workers = [
            worker
            for worker in self._store.workers.everyone()
            if queue in ("", *worker.about.queues) and node in ("", worker.about.node)
        ]
        return roster(workers, [queue] if queue else self.registry.queues)

    def unserved_queues(self) -> Sequence[str]:
        """Return the queues that no live worker serves."""
        served = self._store.queues.states().served
        return sorted(queue for queue in self.registry.queues if queue not in served)

    def pause(self, queue: str, *, is_paused: bool) -> None:
        """Pause a queue, so that none of its jobs begins, or resume it; raises QueueNotFoundError."""
        self._require_queue(queue)
        self._store.queues.pause(queue, is_paused=is_paused)

    def drain(self, queue: str) -> None:
        """Let a queue take no more jobs in until it is resumed; raises QueueNotFoundError."""
        self._require_queue(queue)
        self._store.queues.drain(queue)

    def purge(self, queue: str) -> int:
        """Cancel the jobs of a queue that are queued or wait for a limit; returns how many.

        Raises QueueNotFoundError.
        """
        self._require_queue(queue)
        types = [declared.name for declared in self.registry.queues[queue]]
        # Those at a limit first: what a cancelled one lets in is queued then.
        parked = self._store.queues.parked(types, most=_PURGED_AT_MOST)
        cancelled = sum(self._cancel_queued(job_id) for job_id in parked)
        queued = self._store.queues.queued(queue, most=_PURGED_AT_MOST - len(parked))
        cancelled += sum(self._cancel_queued(job_id) for job_id in queued)
        self._store.reach_disk()
        return cancelled

    def _cancel_queued(self, job_id: str) -> bool:
        try:
            record = self._store.get(job_id)
        except JobNotFoundError:
            return False
        callbacks = self._callbacks.for_ending(record, status=Status.CANCELLED)
        done, _ = self._store.cancel(
            job_id, message="its queue was purged", callbacks=callbacks, spare_running=True, in_bulk=True
        )
        return done

    def _require_queue(self, queue: str) -> None:
        if queue not in self.registry.queues:
            known = ", ".join(sorted(self.registry.queues))
            raise QueueNotFoundError(f"there is no queue {queue!r}; there are {known}")

    def _queues(self, records: Sequence[Record]) -> QueueStates:
        """Ask how the queues stand, if that matters to what is told of these jobs."""
        if any(record.status is Status.QUEUED for record in records):
            return self._store.queues.states()
        return QueueStates(frozenset(), frozenset())

    def ping(self) -> None:
        """Raise StoreUnavailableError if Redis does not answer."""
        self._store.ping()

    def _document(self, record: Record, queues: QueueStates) -> dict[str, Any]:
        max_retries = self._submitter.policy(record.type, record.spec).max_retries
        document = job_document(record, max_retries=max_retries, queues=queues)
        if (job_type := self.registry.get(record.type)) is not None:
            document["payload"] = masked_fields(job_type.payload_model, record.spec["payload"])
        document["edits"] = edit_documents(record, self.registry)
        return document


def _elapsed_ms(record: Record) -> int | None:
    """Milliseconds that a running job has run."""
    if record.started_at is None:
        return None
    return max(0, round((CLOCK.now() - record.started_at).total_seconds() * 1000))


def _load(counts: Sequence[Mapping[str, int]]) -> dict[str, Any]:
    """Tell how many jobs of a queue's types wait and run; an empty queue has neither."""
    waiting = sum(of_type.get(status, 0) for of_type in counts for status in _NOT_BEGUN)
    running = sum(of_type.get(Status.RUNNING, 0) for of_type in counts)
    return {"waiting": waiting, "running": running, "empty": waiting + running == 0}


def _by_status(page: Page, job_type: str) -> dict[Status, int]:
    totals = dict.fromkeys(Status, 0)
    for (kind, status), number in page.counts.items():
        if job_type in ("", kind):
            totals[status] += number
    return totals
