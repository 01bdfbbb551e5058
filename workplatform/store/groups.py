"""The book of groups: the flows and batches that jobs belong to, and jobs that wait for others."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal

import orjson
from redis import Redis

from workplatform.bonds import GroupNotFoundError
from workplatform.states import Status
from workplatform.store.admission import Admission
from workplatform.store.connection import Connector, Scripts, Word
from workplatform.store.keys import Keys
from workplatform.store.record_parsing import parse_record
from workplatform.store.records import NewerRecordError, NewJob, Record, Settlement, moment
from workplatform.store.words import by_name, in_ms, in_pairs, job_words

Work = Literal["cancel", "retry"]

_FLOW: Final = "flow:"
_BATCH: Final = "batch:"
_STATUSES: Final = tuple(Status)
_PER_READ: Final = 100


@dataclass(frozen=True, slots=True)
class Group:
    """A flow or a batch as it stands: `spec` is parsed JSON, `running_percent` its running jobs' progress, added up."""

    name: str
    spec: Mapping[str, Any]
    counts: Mapping[Status, int]
    running_percent: float
    created_at: datetime
    finished_at: datetime | None = None
    cancelled_at: datetime | None = None

    @property
    def id(self) -> str:
        """What callers call it."""
        return self.name.partition(":")[2]

    @property
    def is_flow(self) -> bool:
        """Whether it is a flow and not a batch."""
        return self.name.startswith(_FLOW)

    @property
    def total(self) -> int:
        """How many of its jobs there are."""
        return sum(self.counts.values())

    @property
    def progress(self) -> float:
        """Percent of its work that is done: the jobs that have ended, and what the running ones say."""
        ended = sum(number for status, number in self.counts.items() if status.is_final)
        return (100 * ended + self.running_percent) / self.total if self.total else 100.0


@dataclass(frozen=True, slots=True)
class FlowMade:
    """What became of a request to create a flow.

    Made as `flow_id` now or, by the request with `fingerprint`, before; or not, for the step `held` has a uniqueKey
    that the job `by` has. `answer` is what that request was told, as far as it is remembered.
    """

    flow_id: str
    fingerprint: str = ""
    held: str = ""
    by: str = ""
    is_replay: bool = False
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class GroupsDue:
    """What the scheduler has to do.

    `releasing`: how many jobs have ended and not yet told all that wait for them; `doomed`: ids of jobs that have to
    end with their parent; `endings`: groups whose end is to be told; `work`: groups that are cancelled or retried.
    """

    releasing: int
    doomed: list[str]
    endings: list[str]
    work: list[str]


@dataclass(frozen=True, slots=True)
class GroupWork:
    """The next jobs of a group to cancel or to retry, parents first; `last` is the number up to which that is."""

    work: Work
    last: int
    job_ids: list[str]


class GroupBook:
    """Flows, batches and dependencies. Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, connector: Connector, scripts: Scripts, keys: Keys, admission: Admission) -> None:
        self._connector = connector
        self._scripts = scripts
        self._keys = keys
        self._admission = admission

    def create_flow(
        self, flow_id: str, jobs: Sequence[NewJob], *, key: str = "", fingerprint: str = "", remembered: timedelta
    ) -> FlowMade:
        """Create a flow with its jobs, parents before children, or nothing; `key` is that of an idempotent request.

        Raises AdmissionError.
        """
        words = (flow_id, key, fingerprint, in_ms(remembered), *self._admission.words(jobs), *job_words(jobs))
        answer = self._scripts("create_flow", *words)
        self._admission.check(answer)
        match answer:
            case [b"known", first, known, told]:
                return FlowMade(known.decode(), first.decode(), is_replay=True, answer=told)
            case [b"held", job_id, other]:
                return FlowMade("", held=job_id.decode(), by=other.decode())
        return FlowMade(flow_id, fingerprint)

    def remember_answer(self, key: str, answer: bytes) -> None:
        """Keep what a request with an idempotency key was told, for those that repeat it."""
        self._scripts("remember_answer", key, answer)

    def retry_flow(self, name: str, messages: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
        """Have a flow's steps that have not completed begin again, given (id, message) of all.

        Returns ("ok", number), ("busy",), ("unknown",), ("nothing",) or ("held", step's id, other job's id).
        """
        answer = self._scripts("retry_flow", name, *(word for step in messages for word in step))
        return tuple(word.decode() if isinstance(word, bytes) else str(word) for word in answer)

    def get(self, name: str) -> Group:
        """Return a group; raises GroupNotFoundError."""
        [state] = self._scripts("groups", name)
        if not state[0]:
            raise GroupNotFoundError(f"there is no {name.partition(':')[0]} {name.partition(':')[2]}")
        return _group(name, state)

    def flows(self, *, limit: int, below: str = "") -> tuple[list[Group], bool]:
        """Return flows, newest first, starting below the id `below`, and whether there are more."""
        found = self._scripts("list_flows", limit + 1, below)
        groups = [
            _group(f"{_FLOW}{flow.decode()}", state)
            for flow, state in zip(found[::2], found[1::2], strict=True)
            if state[0]
        ]
        return groups[:limit], len(groups) > limit

    def batches(self, *, limit: int, below: str = "") -> tuple[list[Group], str | None]:
        """Return batches, newest first, starting below the place `below`, and the place where the next ones start."""
        found = self._scripts("list_batches", limit + 1, below)
        rows = list(zip(found[::3], found[1::3], found[2::3], strict=True))
        groups = [_group(f"{_BATCH}{batch.decode()}", state) for _, batch, state in rows[:limit] if state[0]]
        return groups, rows[limit - 1][0].decode() if len(rows) > limit else None

    def members(self, name: str, status: Status, *, limit: int, below: str = "") -> tuple[list[str], str | None]:
        """Return jobs of a group in a status, the latest first, and the place where the next ones start."""
        key, most = self._keys.members(name, status), f"({below}" if below else "+inf"
        found = self._connector.read(
            lambda client: client.zrevrangebyscore(key, most, "-inf", start=0, num=limit + 1, withscores=True)
        )
        ids = [job_id.decode() for job_id, _ in found[:limit]]
        return ids, f"{found[limit - 1][1]:.0f}" if len(found) > limit else None

    def records(self, job_ids: Sequence[str]) -> dict[str, Record]:
        """Return the jobs that are there, by id."""
        return {job_id: parse_record(job_id, fields) for job_id, fields in self._fields(job_ids)}

    def readable(self, job_ids: Sequence[str]) -> dict[str, Record]:
        """Return the jobs that are there and that this release can read, by id."""
        found: dict[str, Record] = {}
        for job_id, fields in self._fields(job_ids):
            with suppress(NewerRecordError, ValueError, KeyError):
                found[job_id] = parse_record(job_id, fields)
        return found

    def begin(self, name: str, work: Work) -> str:
        """Begin to cancel or retry the rest of a group: "ok", "unknown", "over", "nothing" or "busy"."""
        return str(self._scripts("begin_group_work", name, work)[0].decode())

    def next_work(self, name: str, *, most: int, done: int | None = None) -> GroupWork | None:
        """Return what is next in a group's work, given the number of the last job `done`; None once all is done."""
        answer = self._scripts("group_work", name, "" if done is None else done, most)
        if not answer[0]:
            return None
        work, last, job_ids = answer
        return GroupWork(work.decode(), int(last), [job_id.decode() for job_id in job_ids])

    def retry_members(self, name: str, messages: Iterable[tuple[str, bytes]]) -> int:
        """Have jobs of a group begin again for which that is being done, given (id, message), parents first.

        Each does so once, however often it is asked for; returns how many did.
        """
        return int(self._scripts("retry_members", name, *(word for job in messages for word in job)))

    def due(self, most: int) -> GroupsDue:
        """Tell some of the jobs that wait for a parent of very many, and return what else is to be done."""
        releasing, *lists = self._scripts("due_groups", most)
        return GroupsDue(releasing, *([name.decode() for name in names] for names in lists))

    def end_child(self, job_id: str, parent: str, ending: Settlement) -> bool:
        """End a job whose parent has not completed; False if somebody else did, or the parent has begun again."""
        words: tuple[Word, ...] = (job_id, parent, ending.status, ending.event, ending.message, ending.error)
        return bool(self._scripts("end_child", *words, *job_words(ending.callbacks)))

    def tell(self, group: Group, callbacks: Sequence[NewJob]) -> bool:
        """Create the callbacks of a group's end, once; False if somebody else did, or it is not over any more."""
        ended = round(group.finished_at.timestamp() * 1000) if group.finished_at else 0
        return bool(self._scripts("tell_group", group.name, ended, *job_words(callbacks)))

    def _fields(self, job_ids: Sequence[str]) -> Iterator[tuple[str, dict[str, bytes]]]:
        """Read the hashes of the jobs that are there."""
        for begin in range(0, len(job_ids), _PER_READ):
            part = job_ids[begin : begin + _PER_READ]
            hashes = self._connector.read(partial(self._hashes, job_ids=part))
            yield from ((job_id, by_name(fields)) for job_id, fields in zip(part, hashes, strict=True) if fields)

    def _hashes(self, client: Redis, job_ids: Sequence[str]) -> Any:
        pipeline = client.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.hgetall(self._keys.job(job_id))
        return pipeline.execute()


def _group(name: str, state: Sequence[Any]) -> Group:
    fields, counts, percent = state
    found = in_pairs(fields)
    return Group(
        name=name,
        spec=orjson.loads(found["spec"]) if "spec" in found else {},
        counts=dict(zip(_STATUSES, counts, strict=True)),
        running_percent=float(percent),
        created_at=moment(found["createdAt"]),
        finished_at=moment(found["finishedAt"]) if "finishedAt" in found else None,
        cancelled_at=moment(found["cancelledAt"]) if "cancelledAt" in found else None,
    )
