"""The book of schedules: what each says, when it fires next, and what became of its fires."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

import orjson
from redis import Redis

from workplatform.apikeys import DEFAULT
from workplatform.clock import CLOCK
from workplatform.errors import ScheduleNotFoundError
from workplatform.store.connection import Connector, Scripts, Word
from workplatform.store.keys import Keys
from workplatform.store.records import NewJob, moment
from workplatform.store.words import job_words

Outcome = Literal["created", "existing", "overlap", "draining", "passed", "gone"]

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """A schedule as it stands in Redis; `spec` is parsed JSON, `revision` another one after every change of it,
    `by` the API key that made it.
    """

    name: str
    spec: Mapping[str, Any]
    revision: str
    created_at: datetime
    next_at: datetime | None = None
    last_at: datetime | None = None
    last_job: str = ""
    fires: int = 0
    by: str = DEFAULT


@dataclass(frozen=True, slots=True)
class Fire:
    """A moment of a schedule that has come: `due`, or None if it is fired on request.

    `jobs` are the job to make and the callbacks of the last one for the case that it is replaced; without any the
    moment passes, and `note` says why.
    """

    due: datetime | None
    following: datetime | None
    overlap: str = "allow"
    note: Mapping[str, Any] | None = None
    jobs: Sequence[NewJob] = ()


@dataclass(frozen=True, slots=True)
class Fired:
    """What became of a fire, and the job that this is about. `gone`: the schedule is not as the caller knew it."""

    outcome: Outcome
    job_id: str = ""


class ScheduleBook:
    """The schedules. Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, connector: Connector, scripts: Scripts, keys: Keys) -> None:
        self._connector = connector
        self._scripts = scripts
        self._keys = keys

    def now(self) -> datetime:
        """Return the moment by Redis's clock, to the millisecond."""
        seconds, microseconds = self._connector.read(lambda client: client.time())
        return moment(seconds * 1000 + microseconds // 1000)

    def put(self, entry: Entry, *, replaces: str) -> bool:
        """Write a schedule in place of the revision `replaces` ("": of none); False if it is another one by now."""
        words = (entry.name, replaces, entry.revision, orjson.dumps(entry.spec), _word(entry.next_at))
        return bool(self._scripts("put_schedule", *words, _word(entry.created_at), entry.by))

    def drop(self, name: str) -> None:
        """Remove a schedule; raises ScheduleNotFoundError."""
        if not self._scripts("drop_schedule", name):
            raise _unknown(name)

    def get(self, name: str) -> Entry:
        """Return a schedule; raises ScheduleNotFoundError."""
        found = self._connector.read(lambda client: client.hgetall(self._keys.schedule(name)))
        if not found:
            raise _unknown(name)
        return _entry(name, found)

    def all(self) -> list[Entry]:
        """Return every schedule, by name."""
        names = sorted(
            name.decode() for name in self._connector.read(lambda client: client.zrange(self._keys.schedules, 0, -1))
        )
        entries: list[Entry] = []
        for begin in range(0, len(names), _AT_ONCE):
            part = names[begin : begin + _AT_ONCE]
            found = self._connector.read(partial(self._hashes, names=part))
            entries += [_entry(name, fields) for name, fields in zip(part, found, strict=True) if fields]
        return entries

    def history(self, name: str) -> list[dict[str, Any]]:
        """Return what became of a schedule's last fires, newest first."""
        lines = self._connector.read(lambda client: client.lrange(self._keys.fires(name), 0, -1))
        return [orjson.loads(line) for line in lines]

    def due(self, most: int) -> tuple[datetime, list[Entry]]:
        """Return the moment by Redis's clock, and the schedules that have to fire by then."""
        now, *found = self._scripts("due_schedules", most)
        CLOCK.learn(int(now))
        hashes = (dict(zip(flat[::2], flat[1::2], strict=True)) for flat in found[1::2])
        return moment(now), [_entry(name.decode(), fields) for name, fields in zip(found[::2], hashes, strict=True)]

    def fire(self, entry: Entry, fire: Fire) -> Fired:
        """Let a schedule's moment come, with its job and its history, in one atomic step, once for each moment."""
        words: list[Word] = [entry.name, entry.revision, _word(fire.due), _word(fire.following), fire.overlap]
        words += [entry.last_job, orjson.dumps(fire.note or {})]
        outcome, *job_id = self._scripts("fire", *words, *job_words(fire.jobs))
        return Fired(outcome.decode(), job_id[0].decode() if job_id else "")

    def _hashes(self, client: Redis, names: Sequence[str]) -> Any:
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.hgetall(self._keys.schedule(name))
        return pipeline.execute()


def _entry(name: str, fields: Mapping[bytes, bytes]) -> Entry:
    next_at, last_at = fields.get(b"nextAt"), fields.get(b"lastAt")
    return Entry(
        name=name,
        spec=orjson.loads(fields[b"spec"]),
        revision=fields[b"revision"].decode(),
        created_at=moment(fields[b"createdAt"]),
        next_at=moment(next_at) if next_at else None,
        last_at=moment(last_at) if last_at else None,
        last_job=fields.get(b"lastJob", b"").decode(),
        fires=int(fields.get(b"fires", 0)),
        by=fields.get(b"by", DEFAULT.encode()).decode(),
    )


def _word(at: datetime | None) -> str:
    return "" if at is None else str(round(at.timestamp() * 1000))


def _unknown(name: str) -> ScheduleNotFoundError:
    return ScheduleNotFoundError(f"there is no schedule {name!r}")
