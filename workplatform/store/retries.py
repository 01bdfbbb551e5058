"""The book of retries: how one job begins again, changed or not, and how many do, step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

import orjson
from redis import Redis

from workplatform.errors import JobNotFoundError, PlatformError
from workplatform.store.connection import Connector, Scripts, Word
from workplatform.store.failures import Place
from workplatform.store.keys import Keys
from workplatform.store.records import moment

RetryStatus = Literal["canary", "proving", "running", "completed", "stopped", "aborted"]

_SHOWN: Final = 100
_REFUSALS: Final[Mapping[str, str]] = {
    "refused": "only failed and cancelled jobs can be retried; this one is {}",
    "held": "job {} with the same uniqueKey is active",
    "broken": "it depends on job {}, which has not completed: retry that one first",
    "gone": "it depends on job {}, which has been removed: submit it anew, without that",
    "over": "it tells of the progress of an attempt that has ended: nobody is told of that any more",
    "changed": "the job was retried and has ended again meanwhile: look at it anew",
}


class RetryNotFoundError(PlatformError):
    """There is no retry with this id."""

    code = "retry_not_found"


@dataclass(frozen=True, slots=True)
class Edit:
    """What a job that ended at `ended_ms` is to be when it begins again.

    `former` is JSON of what was so before, and of why it failed.
    """

    ended_ms: int
    spec: bytes
    priority: int
    series: str
    former: bytes


@dataclass(frozen=True, slots=True)
class Operation:
    """A retry of many jobs as it stands; `total` is None where nobody knows it, `place` where its next step starts."""

    id: str
    spec: Mapping[str, Any]
    status: RetryStatus
    total: int | None
    canary: int
    retried: int
    skipped: int
    canaries: Sequence[str]
    reason: str | None
    created_at: datetime
    finished_at: datetime | None
    place: Place


class RetryBook:
    """The retries. Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, connector: Connector, scripts: Scripts, keys: Keys) -> None:
        self._connector = connector
        self._scripts = scripts
        self._keys = keys

    def one(self, job_id: str, message: bytes, edit: Edit | None = None) -> str | None:
        """Queue a failed or cancelled job again; returns what forbids it, if something does."""
        words: list[Word] = [job_id, message]
        if edit is not None:
            words += (edit.ended_ms, edit.spec, edit.priority, edit.series, edit.former)
        answer, *about = (word.decode() for word in self._scripts("retry", *words))
        if answer == "unknown":
            raise JobNotFoundError(f"there is no job {job_id}")
        return None if answer == "ok" else _REFUSALS[answer].format(*about)

    def begin(self, name: str, spec: Mapping[str, Any], *, total: int | None, canary: int) -> None:
        """Begin a retry of many jobs."""
        self._scripts("begin_retry", name, orjson.dumps(spec), -1 if total is None else total, canary)

    def step(self, operation: Operation, following: Place | None, jobs: Sequence[tuple[str, bytes]]) -> bool:
        """Retry some jobs of an operation; False if another scheduler has done this step."""
        place, after = operation.place, following or Place()
        words = [word for job in jobs for word in job]
        return bool(
            self._scripts("retry_some", operation.id, place.score, place.member, after.score, after.member, *words)
        )

    def prove(self, name: str) -> str:
        """Look at the first jobs of an operation; returns its status."""
        return str(self._scripts("prove_retry", name).decode())

    def abort(self, name: str) -> None:
        """End an operation, if it has not ended; raises RetryNotFoundError."""
        if not self._scripts("abort_retry", name):
            raise _unknown(name)

    def get(self, name: str) -> Operation:
        """Return an operation; raises RetryNotFoundError."""
        found = self._connector.read(lambda client: client.hgetall(self._keys.retry(name)))
        if not found:
            raise _unknown(name)
        return _operation(name, found)

    def active(self) -> list[str]:
        """Return the operations that have not ended, oldest first."""
        names = self._connector.read(lambda client: client.zrange(self._keys.retrying, 0, -1))
        return [name.decode() for name in names]

    def latest(self) -> list[Operation]:
        """Return the latest operations, newest first."""
        names = self._connector.read(lambda client: client.zrevrange(self._keys.retries, 0, _SHOWN - 1))
        names = [name.decode() for name in names]
        found = self._connector.read(partial(self._hashes, names=names))
        return [_operation(name, fields) for name, fields in zip(names, found, strict=True) if fields]

    def _hashes(self, client: Redis, names: Sequence[str]) -> Any:
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.hgetall(self._keys.retry(name))
        return pipeline.execute()


def _operation(name: str, fields: Mapping[bytes, bytes]) -> Operation:
    told = {field.decode(): value.decode() for field, value in fields.items()}
    status: RetryStatus = told["status"]  # type: ignore[assignment] # the scripts write no other
    return Operation(
        id=name,
        spec=orjson.loads(told["spec"]),
        status=status,
        total=None if told["total"] == "-1" else int(told["total"]),
        canary=int(told["canary"]),
        retried=int(told["retried"]),
        skipped=int(told["skipped"]),
        canaries=told.get("canaries", "").split(),
        reason=told.get("reason") or None,
        created_at=moment(int(told["createdAt"])),
        finished_at=moment(int(told["finishedAt"])) if "finishedAt" in told else None,
        place=Place(told["score"], told["member"]),
    )


def _unknown(name: str) -> RetryNotFoundError:
    return RetryNotFoundError(f"there is no retry {name!r}")
