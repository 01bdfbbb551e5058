"""The dead letter: failed jobs, searched by what they have in common, and the groups of errors that are alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from workplatform.errors import PlatformError
from workplatform.store.connection import Scripts, Word
from workplatform.store.record_parsing import parse_record
from workplatform.store.records import Record, moment
from workplatform.store.words import in_pairs

Order = Literal["lastSeen", "count"]


class ErrorNotFoundError(PlatformError):
    """No failure has this fingerprint."""

    code = "error_not_found"


@dataclass(frozen=True, slots=True)
class FailureFilter:
    """Which failed jobs are meant; empty words and None mean any. `since` and `until` bound the moment of the end."""

    job_type: str = ""
    code: str = ""
    fingerprint: str = ""
    tag: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def words(self) -> tuple[Word, ...]:
        """Return the filter as failures.lua reads it."""
        bounds = (_bound(self.since, "-inf"), _bound(self.until, "+inf"))
        return (self.job_type, self.code, self.fingerprint, self.tag, *bounds)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page starts: below a member of a sorted set."""

    score: str = ""
    member: str = ""


@dataclass(frozen=True, slots=True)
class FailurePage:
    """Failed jobs, the latest first; `total` is None where nobody knows it, `following` where nothing follows."""

    records: Sequence[Record]
    total: int | None
    following: Place | None


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failures that are alike. `count` are all that there were, `failed` the jobs that are failed now."""

    fingerprint: str
    job_type: str
    code: str
    message: str
    count: int
    failed: int
    first_seen: datetime
    last_seen: datetime
    latest: Sequence[str]


class FailureIndex:
    """The failures. Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def page(self, wanted: FailureFilter, *, limit: int, below: Place) -> FailurePage:
        """Return failed jobs below a place."""
        answer = self._scripts("failures", *wanted.words(), limit, below.score, below.member)
        total, score, member, *found = answer
        records = [
            parse_record(job_id.decode(), in_pairs(fields))
            for job_id, fields in zip(found[::2], found[1::2], strict=True)
            if fields
        ]
        return FailurePage(records, None if total < 0 else total, _place(score, member))

    def groups(self, *, job_type: str, order: Order, limit: int, below: Place) -> tuple[list[ErrorGroup], Place | None]:
        """Return groups below a place, and where the next ones start."""
        score, member, *found = self._scripts("errors", job_type, order, limit, below.score, below.member, "")
        return _groups(found), _place(score, member)

    def group(self, fingerprint: str) -> ErrorGroup:
        """Return one group; raises ErrorNotFoundError."""
        _, _, *found = self._scripts("errors", "", "lastSeen", 1, "", "", fingerprint)
        if not found:
            raise ErrorNotFoundError(f"no failure has the fingerprint {fingerprint!r}")
        return _groups(found)[0]


def _groups(found: Sequence[Any]) -> list[ErrorGroup]:
    parts = zip(found[::4], found[1::4], found[2::4], found[3::4], strict=True)
    return [_group(name.decode(), failed, ids, in_pairs(fields)) for name, failed, ids, fields in parts if fields]


def _group(fingerprint: str, failed: int, ids: Sequence[bytes], fields: Mapping[str, bytes]) -> ErrorGroup:
    return ErrorGroup(
        fingerprint=fingerprint,
        job_type=fields["type"].decode(),
        code=fields["code"].decode(),
        message=fields["message"].decode("utf-8", "ignore"),
        count=int(fields["count"]),
        failed=failed,
        first_seen=moment(fields["firstSeen"]),
        last_seen=moment(fields["lastSeen"]),
        latest=[job_id.decode() for job_id in ids],
    )


def _place(score: bytes, member: bytes) -> Place | None:
    return Place(score.decode(), member.decode()) if member else None


def _bound(at: datetime | None, otherwise: str) -> str:
    return otherwise if at is None else str(round(at.timestamp() * 1000))
