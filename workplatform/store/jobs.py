"""The job store: each method is one Lua transition, or one read."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

import orjson
import redis

from workplatform.clock import CLOCK
from workplatform.errors import JobNotFoundError, StoreUnavailableError
from workplatform.states import Status
from workplatform.store.admission import Admission
from workplatform.store.connection import Connector, Scripts, Word
from workplatform.store.deliveries import DeliveryBook
from workplatform.store.expiring import ExpiringBook
from workplatform.store.failures import FailureIndex
from workplatform.store.groups import GroupBook
from workplatform.store.keys import Keys
from workplatform.store.limits import LimitBook
from workplatform.store.queues import QueueBoard, queue_states
from workplatform.store.record_parsing import parse_record
from workplatform.store.records import (
    Beat,
    Claimant,
    Created,
    CreatedOnce,
    Due,
    Grant,
    LogLine,
    NewJob,
    Page,
    Record,
    Refusal,
    Settled,
    Settlement,
    Verdict,
    moment,
)
from workplatform.store.retries import RetryBook
from workplatform.store.schedules import ScheduleBook
from workplatform.store.words import (
    by_name,
    claimant_words,
    in_ms,
    in_pairs,
    job_words,
    read_claim,
    read_created,
    read_grant,
    settlement_words,
)
from workplatform.store.workers import WorkerRegister

JOBS_PER_CALL: Final = 500
_CLAIM_PATIENCE_S: Final = 10.0
_SETTLE_PATIENCE_S: Final = 120.0


class JobStore:
    """Every transition of a job, atomic in Redis. Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(
        self, connector: Connector, *, prefix: str, admission: Admission | None = None, is_durable: bool = False
    ) -> None:
        self._connector = connector
        self._scripts = Scripts(connector, prefix=prefix, is_durable=is_durable)
        self._admission = admission or Admission()
        self.keys = Keys(prefix)
        self.workers = WorkerRegister(self._scripts)
        self.queues = QueueBoard(connector, self._scripts, self.keys)
        self.failures = FailureIndex(self._scripts)
        self.expiring = ExpiringBook(connector, self._scripts, self.keys)
        self.retries = RetryBook(connector, self._scripts, self.keys)
        self.schedules = ScheduleBook(connector, self._scripts, self.keys)
        self.deliveries = DeliveryBook(self._scripts)
        self.groups = GroupBook(connector, self._scripts, self.keys, self._admission)
        self.limits = LimitBook(connector, self._scripts)

    def create(self, jobs: Sequence[NewJob]) -> Created:
        """Create jobs with their messages. At most JOBS_PER_CALL are one atomic step.

        Raises AdmissionError.
        """
        created = Created(0)
        for start in range(0, len(jobs), JOBS_PER_CALL):
            part = jobs[start : start + JOBS_PER_CALL]
            answer = self._scripts("submit", *self._admission.words(part), *job_words(part))
            self._admission.check(answer)
            created = created.followed_by(read_created(answer))
            CLOCK.learn(created.at_ms)
        return created

    def create_once(self, jobs: Sequence[NewJob], *, key: str, fingerprint: str, remembered: timedelta) -> CreatedOnce:
        """Create at most JOBS_PER_CALL jobs, or return what the first request with the same key has created.

        Raises AdmissionError.
        """
        words = (key, fingerprint, in_ms(remembered), *self._admission.words(jobs), *job_words(jobs))
        answer = self._scripts("submit_once", *words)
        self._admission.check(answer)
        if answer[0] == b"known":
            _, first, created, ids = answer
            if created is None:  # the key was used for something else than jobs
                return CreatedOnce(Created(0), [], "", is_replay=True)
            return CreatedOnce(read_created(orjson.loads(created)), orjson.loads(ids), first.decode(), is_replay=True)
        return CreatedOnce(read_created(answer[1]), [job.id for job in jobs], fingerprint, is_replay=False)

    def get(self, job_id: str) -> Record:
        """Return a job; raises JobNotFoundError."""
        fields = self._connector.read(lambda client: client.hgetall(self.keys.job(job_id)))
        if not fields:
            raise JobNotFoundError(f"there is no job {job_id}")
        return parse_record(job_id, by_name(fields))

    def page(self, *, job_type: str = "", status: str = "", limit: int = 20, below: str = "") -> Page:
        """Return jobs newest first, starting below the id `below`; empty words mean all."""
        counts, records, queues = self._scripts("list", job_type, status, limit + 1 if limit else 0, below)
        found = [
            parse_record(job_id.decode(), in_pairs(fields))
            for job_id, fields in zip(records[::2], records[1::2], strict=True)
            if fields
        ]
        return Page(
            records=found[:limit],
            counts={
                (kind.decode(), Status(state.decode())): number
                for kind, state, number in zip(counts[::3], counts[1::3], counts[2::3], strict=True)
            },
            queues=queue_states(queues),
            has_more=len(found) > limit,
        )

    def claim(self, job_id: str, claimant: Claimant, *, claim: str, message: bytes) -> Grant | Refusal:
        """Claim a queued job for an attempt; the same `claim` word gets the same grant again.

        `message` goes back to its list if the node has no free slot.
        """
        words = (job_id, *claimant_words(claimant, claim), message)
        return read_claim(self._scripts.persist("claim", *words, patience_s=_CLAIM_PATIENCE_S))

    def begin_claim(
        self, job_id: str, claimant: Claimant, *, claim: str, message: bytes
    ) -> Callable[[], Grant | Refusal]:
        """Send a claim without waiting; the function returned, called once, gives its answer as claim() would."""

        def answer() -> Grant | Refusal:
            try:
                return read_claim(receive())
            except (redis.RedisError, OSError):
                return self.claim(job_id, claimant, claim=claim, message=message)

        try:
            receive = self._scripts.begin("claim", job_id, *claimant_words(claimant, claim), message)
        except StoreUnavailableError:
            return partial(self.claim, job_id, claimant, claim=claim, message=message)
        return answer

    def has_room(self, node: str, queue: str, slots: int) -> bool:
        """Whether a queue that was refused a slot should claim again."""
        return bool(self._scripts("room", node, queue, slots))

    def beat(self, lease: timedelta, beats: Iterable[Beat], *, patience_s: float = 0.0) -> list[Verdict]:
        """Renew leases and carry progress out; returns a verdict for each."""
        words: list[Word] = [in_ms(lease)]
        for beat in beats:
            words += (beat.job_id, beat.fence, int(beat.changed), round(beat.progress, 1), beat.stage, beat.message)
            words += (len(beat.lines), *beat.lines)
        return [verdict.decode() for verdict in self._scripts.persist("beat", *words, patience_s=patience_s)]

    def confirm(self, lease: timedelta, job_id: str, fence: int) -> Verdict:
        """Renew the lease of an attempt that cannot go on without knowing; waits for Redis while that is away."""
        [verdict] = self.beat(lease, [Beat(job_id, fence)], patience_s=_SETTLE_PATIENCE_S)
        return verdict

    def settle(
        self, job_id: str, fence: int, settlement: Settlement, *, then: Claimant | None = None, claim: str = ""
    ) -> Settled:
        """End an attempt, and claim the queue's next job for `then` (with the word `claim`) in the same step.

        Not accepted, and nothing changed, if the job is not this attempt's any more.
        """
        words = [*settlement_words(job_id, fence, settlement, "owner")]
        words += (5, *claimant_words(then, claim)) if then else (0,)
        words += job_words(settlement.callbacks)
        answer = self._scripts.persist("settle", *words, patience_s=_SETTLE_PATIENCE_S)
        grant = answer[1] if len(answer) > 1 else None
        return Settled(answer[0] == b"ok", read_grant(grant[1:]) if grant else None)

    def reap(self, job_id: str, fence: int, settlement: Settlement) -> bool:
        """End an attempt whose lease has run out; False if somebody else did, or it was renewed."""
        words = [*settlement_words(job_id, fence, settlement, "lapsed"), 0]
        words += job_words(settlement.callbacks)
        return bool(self._scripts("settle", *words)[0] == b"ok")

    def cancel(
        self,
        job_id: str,
        *,
        message: str,
        callbacks: Sequence[NewJob],
        spare_running: bool = False,
        in_bulk: bool = False,
    ) -> tuple[bool, str]:
        """Cancel a job; returns (whether it was done, its status before). Raises JobNotFoundError.

        Of many, `in_bulk`, none waits for Redis's disk by itself: reach_disk() does for all of them.
        """
        run = self._scripts.run if in_bulk else self._scripts
        answer = run("cancel", job_id, message, "idle" if spare_running else "any", *job_words(callbacks))
        if answer[0] == b"unknown":
            raise JobNotFoundError(f"there is no job {job_id}")
        return answer[0] == b"ok", answer[1].decode()

    def reach_disk(self) -> None:
        """Wait, where that is promised, until all that was written before is on Redis's disk."""
        self._scripts("reach_disk")

    def retry(self, job_id: str, message: bytes) -> str | None:
        """Queue a failed or cancelled job again; returns what forbids it, if something does."""
        return self.retries.one(job_id, message)

    def expire(self, job_id: str, *, message: str, error: bytes, callbacks: Sequence[NewJob]) -> bool:
        """Fail a job whose time is up; False if it has ended, or has begun in time."""
        return bool(self._scripts("expire", job_id, message, error, *job_words(callbacks)))

    def series(self, series: str) -> list[str]:
        """Return the jobs of a series, oldest first: those that are not final, and the newest one while there are."""
        ids = self._connector.read(lambda client: client.zrange(self.keys.series(series), 0, -1))
        return [job_id.decode() for job_id in ids]

    def release(self, job_id: str, fence: int) -> None:
        """Tell that an attempt has really ended whose job was cancelled or taken away."""
        self._scripts("release", job_id, fence)

    def due(self, most: int) -> Due:
        """Return the jobs that a moment has come for."""
        return Due(*([job_id.decode() for job_id in ids] for ids in self._scripts("due", most)))

    def promote(self, job_id: str, message: bytes) -> bool:
        """Queue a scheduled job that is due."""
        return self.promote_all([(job_id, message)]) == 1

    def promote_all(self, jobs: Iterable[tuple[str, bytes]]) -> int:
        """Queue those of the jobs that are due, given (id, message); returns how many."""
        return int(self._scripts("promote", *(word for job in jobs for word in job)))

    def lost(self, queue: str, priority: int, *, patience: timedelta, most: int) -> list[str]:
        """Return queued jobs whose message is gone, newest first."""
        return [job_id.decode() for job_id in self._scripts("lost", queue, priority, in_ms(patience), most)]

    def repush(self, job_id: str, message: bytes) -> bool:
        """Give a queued job a new message, first in line."""
        return bool(self._scripts("repush", job_id, message))

    def sweep(self, rules: bytes, most: int) -> int:
        """Remove jobs that have ended and that the rules of sweep.lua do not keep; returns what these were worth."""
        return int(self._scripts("sweep", most, rules))

    def logs(self, job_id: str, *, after: str = "", limit: int = 1000) -> list[LogLine]:
        """Return log lines after the line `after`, oldest first."""
        start = f"({after}" if after else "-"
        entries = self._connector.read(lambda client: client.xrange(self.keys.logs(job_id), start, "+", count=limit))
        return [
            LogLine(entry.decode(), moment(entry.split(b"-")[0]), fields[b"text"].decode("utf-8", "replace"))
            for entry, fields in entries
        ]

    def ping(self) -> None:
        """Learn the moment; raises StoreUnavailableError if Redis does not answer."""
        seconds, microseconds = self._connector.read(lambda client: client.time())
        CLOCK.learn(seconds * 1000 + microseconds // 1000)
