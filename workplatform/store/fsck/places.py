"""Places: where a job has to stand, and may stand, besides its record. This states the rules a second time on purpose.

The Lua scripts keep the places up to date step by step; here they follow from the record alone.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import orjson

from workplatform.apikeys import DEFAULT
from workplatform.states import FINAL, Status
from workplatform.store.fsck.names import Names

FIELDS: Final = (
    "type",
    "queue",
    "priority",
    "status",
    "createdAt",
    "sequence",
    "dueAt",
    "finishedAt",
    "expiresAt",
    "deadline",
    "series",
    "unique",
    "node",
    "fence",
    "startedAt",
    "group",
    "parents",
    "open",
    "doom",
    "by",
    "turn",
    "limits",
    "error",
    "schemaVersion",
)
_ALWAYS: Final = ("type", "queue", "priority", "status", "createdAt")
_WAITS: Final = (Status.WAITING, Status.SCHEDULED)

Fields = Mapping[str, str]
TakesSlot = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Place:
    """A member of a zset or a set, or a string that names the job; `score` None is any."""

    kind: Literal["zset", "set", "string"]
    key: str
    member: str
    score: float | None = None
    is_required: bool = True


def places(job_id: str, fields: Fields, keys: Names, takes_slot: TakesSlot) -> Iterator[Place]:
    """Give every place of a job whose record has no faults."""
    status, job_type = Status(fields["status"]), fields["type"]
    yield Place("zset", keys.index(job_type, status), job_id, 0)
    yield Place("set", keys.types, job_type)
    if status is Status.QUEUED:
        lane, number = (fields["queue"], int(fields["priority"])), _number(fields, "sequence")
        yield Place("zset", keys.queued(*lane), job_id, number)
        yield Place("zset", keys.behind(*lane, fields.get("by", DEFAULT)), job_id, number, is_required=False)
    if status is Status.RUNNING:
        yield Place("zset", keys.leases, job_id)
        yield Place("set", keys.slots(fields.get("node", "")), job_id, is_required=takes_slot(job_type))
    if status in _WAITS and "dueAt" in fields:
        yield Place("zset", keys.scheduled, job_id, _number(fields, "dueAt"))
    if status in FINAL:
        is_of_flow = fields.get("group", "").startswith("flow:")  # its jobs are looked at once all have ended
        moment = None if is_of_flow else _number(fields, "finishedAt")
        yield Place("zset", keys.finished(job_type, status), job_id, moment, is_required=not is_of_flow)
        yield Place("zset", keys.former_finished, job_id, is_required=False)
    if status is Status.FAILED:
        yield from _of_failure(job_id, fields, keys)
    yield from _of_limits(job_id, fields, keys)
    yield from _claims(job_id, fields, keys, is_active=status not in FINAL)
    yield from _bonds(job_id, fields, keys, status)


def _of_failure(job_id: str, fields: Fields, keys: Names) -> Iterator[Place]:
    """Give where a failed job is searched; one of the former version is until sweeping has come to it."""
    error, at = orjson.loads(fields.get("error") or "{}"), _number(fields, "finishedAt")
    is_filed = "schemaVersion" in fields
    code = error.get("code", "error")
    yield Place("zset", keys.failures(fields["type"], code), job_id, at, is_required=is_filed)
    yield Place("set", keys.codes(fields["type"]), code, is_required=is_filed)
    if "fingerprint" in error:
        yield Place("zset", keys.alike(error["fingerprint"]), job_id, at)


def _of_limits(job_id: str, fields: Fields, keys: Names) -> Iterator[Place]:
    """Give a job's places at limits; what it holds outlives it for as long as its worker may still be ending it."""
    status = fields["status"]
    for name in orjson.loads(fields.get("limits", "[]")):
        runs = status == Status.RUNNING
        yield Place("zset", keys.of_limit("holding", name), job_id, math.inf if runs else None, is_required=runs)
    if "turn" in fields and status == Status.WAITING:
        yield Place("zset", keys.of_limit("parked", fields["turn"]), job_id, is_required="dueAt" not in fields)
    if "turn" in fields:
        yield Place("zset", keys.of_limit("woken", fields["turn"]), job_id, is_required=False)


def _claims(job_id: str, fields: Fields, keys: Names, *, is_active: bool) -> Iterator[Place]:
    """Give what a job holds only as long as it has not ended."""
    moments = [float(fields[name]) for name in ("expiresAt", "deadline") if name in fields]
    if moments and is_active:
        yield Place("zset", keys.limited, job_id, min(moments))
    if "unique" in fields and is_active:
        yield Place("string", keys.unique(fields["type"], fields["unique"]), job_id)
    if "series" in fields:  # the newest one stays listed while older ones are active
        has_joined = is_active and "open" not in fields
        yield Place("zset", keys.series(fields["series"]), job_id, is_required=has_joined)


def _bonds(job_id: str, fields: Fields, keys: Names, status: Status) -> Iterator[Place]:
    """Give where a job stands for what it has to do with others."""
    if "group" in fields:
        yield Place("zset", keys.members(fields["group"], status), job_id)
    if status is Status.WAITING and "doom" in fields:
        yield Place("zset", keys.doomed, job_id)
    for parent in fields.get("parents", "").split():  # one that has ended itself stays noted until its parents do
        yield Place("zset", keys.children(parent), job_id, is_required=False)


def faults(fields: Fields) -> Iterator[str]:
    """Tell what is wrong with a record by itself, each as the end of a sentence that begins with the job."""
    yield from (f"has no {name} in its record" for name in _ALWAYS if name not in fields)
    status = fields.get("status")
    if status is None:
        return
    if status not in set(Status):
        yield f"has a status that does not exist: {status}"
        return
    needed = {
        Status.QUEUED: ("sequence",),
        Status.RUNNING: ("fence", "startedAt", "node"),
        Status.SCHEDULED: ("dueAt",),
        **dict.fromkeys(FINAL, ("finishedAt",)),
    }
    yield from (f"is {status} and has no {name}" for name in needed.get(Status(status), ()) if name not in fields)
    if "finishedAt" in fields and status not in FINAL:
        yield f"is {status} and has finishedAt"
    if "dueAt" in fields and status not in _WAITS:
        yield f"is {status} and has dueAt"


def _number(fields: Fields, name: str) -> float | None:
    return float(fields[name]) if name in fields else None
