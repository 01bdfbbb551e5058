"""How the store spells calls of its scripts, and reads what they answer."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import orjson

from workplatform.states import Status
from workplatform.store.connection import Word
from workplatform.store.records import Claimant, Created, Grant, NewJob, Refusal, Settlement, Standing

_ITSELF: Final = "="
_MILLISECOND: Final = timedelta(milliseconds=1)


def job_words(jobs: Iterable[NewJob]) -> list[Word]:
    """Return jobs to create as create() of the scripts reads them: a message is said once for those that follow."""
    words: list[Word] = []
    said = b""
    for job in jobs:
        job_id, job_type, queue, priority, spec, message, terms = job
        words += (job_id, job_type, queue, priority, spec, b"" if message == said else message, terms)
        said = message
    return words


def read_created(answer: Sequence[Any]) -> Created:
    """Read what create() of the scripts returns."""
    at_ms, *told = answer
    words = [word.decode() if isinstance(word, bytes) else word for word in told]
    others, orphans, standing = dict[str, str](), dict[str, str](), dict[str, Standing]()
    for job_id, word in zip(words[::2], words[1::2], strict=True):
        if word.startswith("?"):
            orphans[job_id] = word[1:]
            continue
        other, status, created_ms = word.split(" ")
        standing[job_id] = Standing(Status(status), int(created_ms))
        if other != _ITSELF:
            others[job_id] = other
    return Created(int(at_ms), others, orphans, standing)


def claimant_words(claimant: Claimant, claim: str) -> tuple[Word, ...]:
    """Return who claims, as claim.lua reads it."""
    return (claimant.worker, claimant.node, claimant.slots, in_ms(claimant.lease), claim)


def settlement_words(job_id: str, fence: int, settlement: Settlement, guard: str) -> tuple[Word, ...]:
    """Return what settle.lua reads up to the log lines."""
    return (
        job_id,
        fence,
        guard,
        settlement.status,
        settlement.event,
        settlement.result,
        settlement.error,
        settlement.message,
        settlement.delay_ms,
        settlement.reason,
        settlement.wakeup,
        settlement.costs,
        settlement.outputs,
        settlement.found,
        settlement.stage,
        len(settlement.lines),
        *settlement.lines,
    )


def read_claim(answer: Any) -> Grant | Refusal:
    """Read what claim.lua returns."""
    match answer:
        case [b"granted", *grant]:
            return read_grant(grant)
        case [b"gone", status]:
            return Refusal(status.decode())
        case [b"parked"]:
            return Refusal("series")
        case [b"limited"]:
            return Refusal("limit")
        case [b"no_slot" | b"paused" as reason]:
            return Refusal(reason.decode())
    raise ValueError(f"claim.lua answered {answer!r}")


def read_grant(words: Sequence[Any]) -> Grant:
    """Read a grant of claim.lua, without the word before it."""
    job_id, job_type, priority, fence, attempts, retries, spec, waited = words
    return Grant(
        id=job_id.decode(),
        type=job_type.decode(),
        priority=int(priority),
        fence=int(fence),
        attempts=int(attempts),
        retries=int(retries),
        spec=orjson.loads(spec),
        waited_ms=int(waited),
    )


def in_ms(duration: timedelta) -> int:
    """Return a span in whole milliseconds."""
    return duration // _MILLISECOND


def by_name(fields: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """Decode the names of a hash's fields."""
    return {name.decode(): value for name, value in fields.items()}


def in_pairs(flat: Any) -> dict[str, bytes]:
    """Return a hash that a script has answered as a flat list."""
    if isinstance(flat, dict):
        return by_name(flat)
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}
