"""What the store gives and takes: new jobs, records, grants, events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, TypedDict

import orjson

from workplatform.apikeys import DEFAULT
from workplatform.errors import PlatformError
from workplatform.states import Event, Status

Verdict = Literal["ok", "cancelled", "lost"]
Costs = Literal["attempt", "retry", "nothing"]


class NewJob(NamedTuple):
    """A job to create, as the words that create() of the Lua scripts reads, in their order.

    `spec` is the JSON of a Spec, `message` what Celery's workers understand, with JOB_MARK for the id; `terms` JSON as
    create() explains it.
    """

    id: str
    type: str
    queue: str
    priority: int
    spec: bytes
    message: bytes
    terms: bytes = b""

    @property
    def series(self) -> str:
        """The series that the job belongs to, if it does."""
        return str(orjson.loads(self.terms).get("series", "")) if self.terms else ""

    @property
    def parents(self) -> list[str]:
        """The ids of the jobs on which it depends."""
        return list(orjson.loads(self.terms).get("dependsOn", ())) if self.terms else []

    def with_terms(self, **terms: Any) -> "NewJob":
        """Return the same job with further terms."""
        said = orjson.loads(self.terms) if self.terms else {}
        return self._replace(terms=orjson.dumps(said | terms))

    def submitted_by(self, name: str) -> "NewJob":
        """Return the job as one of the API key of that name."""
        if name == DEFAULT:
            return self
        terms = orjson.loads(self.terms) if self.terms else {}
        spec = orjson.dumps({**orjson.loads(self.spec), "by": name})
        return self._replace(spec=spec, terms=orjson.dumps({**terms, "by": name}))

    def begins_after(self, moment_ms: int) -> bool:
        """Whether a job created at that moment has to wait for another one."""
        if not self.terms:
            return False
        terms = orjson.loads(self.terms)
        return "delay" in terms or int(terms.get("runAt", 0)) > moment_ms


class Standing(NamedTuple):
    """How a job stood when it was submitted, and when it was created in ms."""

    status: Status
    created_ms: int


@dataclass(frozen=True, slots=True)
class Created:
    """The moment in ms at which jobs were created.

    By the ids of those that were not created: `others` names the active job in their place, `orphans` the unknown
    parent. `standing` tells of those in another's place how that stood, and of the created ones which wait for others.
    """

    at_ms: int
    others: Mapping[str, str] = field(default_factory=dict)
    orphans: Mapping[str, str] = field(default_factory=dict)
    standing: Mapping[str, Standing] = field(default_factory=dict)

    def followed_by(self, later: "Created") -> "Created":
        """Return what two steps have created."""
        return Created(
            later.at_ms,
            {**self.others, **later.others},
            {**self.orphans, **later.orphans},
            {**self.standing, **later.standing},
        )


@dataclass(frozen=True, slots=True)
class CreatedOnce:
    """What a request with an idempotency key has created: now, or before (`is_replay`), by whose fingerprint."""

    created: Created
    job_ids: Sequence[str]
    fingerprint: str
    is_replay: bool


class CommittedOutput(TypedDict):
    """A file or folder that a job has made, named as its payload named it."""

    uri: str
    directory: bool


class NewerRecordError(PlatformError):
    """The record was written by a later release."""

    code = "newer_record"


@dataclass(frozen=True, slots=True)
class Record:
    """A job as it stands in Redis. Moments are aware UTC; `spec`, `result`, `error` and `outputs` are parsed JSON."""

    id: str
    type: str
    queue: str
    priority: int
    status: Status
    spec: Mapping[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime | None
    progress: float
    stage: str | None
    message: str | None
    reason: str | None
    fence: int
    attempts: int
    retries: int
    worker: str | None
    result: Any
    error: Mapping[str, Any] | None
    outputs: Sequence[CommittedOutput]
    series: str | None = None
    concurrency: str | None = None
    unique_key: str | None = None
    expires_at: datetime | None = None
    deadline: datetime | None = None
    group: str | None = None
    parents: Sequence[str] = ()
    on_parent_failure: str = "fail"
    doom: str | None = None
    edits: Sequence[Mapping[str, Any]] = ()

    @property
    def by(self) -> str:
        """The name of the API key that submitted it."""
        return str(self.spec.get("by", DEFAULT))

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds from the start of the last attempt to the end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0, round((self.finished_at - self.started_at).total_seconds() * 1000))


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims: a worker process on a node; `slots` bounds the node's running jobs, 0 if this type takes none."""

    worker: str
    node: str
    slots: int
    lease: timedelta


@dataclass(frozen=True, slots=True)
class Grant:
    """The right to run one attempt."""

    id: str
    type: str
    priority: int
    fence: int
    attempts: int
    retries: int
    spec: Mapping[str, Any]
    waited_ms: int


@dataclass(frozen=True, slots=True)
class Due:
    """Ids of scheduled jobs to look at now, of running jobs whose lease has run out, of jobs whose time is up."""

    scheduled: list[str]
    lapsed: list[str]
    expired: list[str]


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether an attempt's ending was accepted, and the queue's next job if one was asked for and had."""

    is_accepted: bool
    next_grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a claim was not granted: no free slot, a paused queue, a held series, a limit, or the job's status."""

    reason: str

    @property
    def is_of_queue(self) -> bool:
        """Whether no job of the queue would be granted: the node is full or the queue paused. The message is back."""
        return self.reason in ("no_slot", "paused")


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker says about one running job; progress goes out only if it `changed`."""

    job_id: str
    fence: int
    changed: bool = False
    progress: float = 0.0
    stage: str = ""
    message: str = ""
    lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Settlement:
    """Where an attempt's ending takes its job."""

    status: Status
    event: Event
    costs: Costs
    message: str = ""
    result: bytes = b""
    error: bytes = b""
    delay_ms: int = 0
    reason: str = ""
    wakeup: bytes = b""
    lines: Sequence[str] = ()
    callbacks: Sequence[NewJob] = ()
    outputs: bytes = b""
    found: bytes = b""
    stage: str = ""


@dataclass(frozen=True, slots=True)
class QueueStates:
    """Which queues have a live worker, which are paused, and which take no more jobs in."""

    served: frozenset[str]
    paused: frozenset[str]
    draining: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing and what is around it: counts by type and status, how the queues stand."""

    records: list[Record]
    counts: Mapping[tuple[str, Status], int]
    queues: QueueStates
    has_more: bool


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An entry of the event stream; `id` is its stream id."""

    id: str
    event: str
    job_id: str
    type: str
    status: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a job's log; `id` orders the lines."""

    id: str
    at: datetime
    text: str


def moment(milliseconds: bytes | int) -> datetime:
    """Turn Redis's milliseconds into an aware UTC datetime."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
