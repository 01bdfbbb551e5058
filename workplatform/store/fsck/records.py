"""From the records to the places: each job stands where its record says."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from workplatform.store.fsck.backlogs import Backlogs
from workplatform.store.fsck.findings import Difference, Mend, guard
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.places import FIELDS, Fields, Place, TakesSlot, faults, places
from workplatform.store.fsck.reading import Command, Reader, fields_of, text

_TRIES: Final = 50
_ROUNDING_MS: Final = 1.0


class RecordCheck:
    """Checks jobs some at a time."""

    def __init__(self, reader: Reader, keys: Names, takes_slot: TakesSlot) -> None:
        self._reader = reader
        self._keys = keys
        self._takes_slot = takes_slot
        self._backlogs = Backlogs(reader, keys)

    def differences(self, job_ids: Sequence[str]) -> Iterator[Difference]:
        """Check jobs that exist, or have existed a moment ago.

        Which places to look at follows from a record, so it is read twice: a job that has moved in between is looked
        at again.
        """
        left = list(job_ids)
        for _ in range(_TRIES):
            known = self._reader.ask([self._read(job_id) for job_id in left])
            left, found = self._compared(left, [fields_of(answer) for answer in known])
            yield from found
            if not left:
                return

    def _compared(self, job_ids: list[str], known: list[Fields]) -> tuple[list[str], list[Difference]]:
        """Return the jobs that have moved since, and what is wrong with the others."""
        wanted = [self._places(job_id, fields) for job_id, fields in zip(job_ids, known, strict=True)]
        commands: list[Command] = []
        for job_id, some in zip(job_ids, wanted, strict=True):
            commands += [self._read(job_id), ("HSTRLEN", self._keys.job(job_id), "spec"), *map(_probe, some)]
        answers = iter(self._reader.ask(commands))
        moved, found = list[str](), list[Difference]()
        for job_id, some in zip(job_ids, wanted, strict=True):
            fields, spec_bytes = fields_of(next(answers)), next(answers)
            seen = [next(answers) for _ in some]
            if self._places(job_id, fields) != some:
                moved.append(job_id)
                continue
            found += _faults(job_id, fields, has_spec=bool(spec_bytes)) if fields else ()
            found += [
                difference
                for place, answer in zip(some, seen, strict=True)
                if (difference := _difference(job_id, fields, place, answer))
                and not (answer is None and self._waits_for_turn(job_id, fields, place))
            ]
        return moved, found

    def _waits_for_turn(self, job_id: str, fields: Fields, place: Place) -> bool:
        lane = self._keys.queued(fields["queue"], int(fields["priority"]))
        return place.key == lane and self._backlogs.explain(job_id, fields)

    def _read(self, job_id: str) -> Command:
        return ("HMGET", self._keys.job(job_id), *FIELDS)

    def _places(self, job_id: str, fields: Fields) -> list[Place]:
        return [] if not fields or any(faults(fields)) else list(places(job_id, fields, self._keys, self._takes_slot))


def _faults(job_id: str, fields: Fields, *, has_spec: bool) -> Iterator[Difference]:
    told = [*faults(fields)] if has_spec else [*faults(fields), "has no spec in its record"]
    for fault in told:
        yield Difference("record", job_id, f"job {job_id} {fault}")


def _probe(place: Place) -> Command:
    if place.kind == "string":
        return ("GET", place.key)
    return ("ZSCORE" if place.kind == "zset" else "SISMEMBER", place.key, place.member)


def _difference(job_id: str, fields: Fields, place: Place, seen: Any) -> Difference | None:
    check = {"string": _in_string, "set": _in_set, "zset": _in_zset}[place.kind]
    return check(job_id, fields, place, seen)


def _in_set(job_id: str, fields: Fields, place: Place, seen: Any) -> Difference | None:
    if seen or not place.is_required:
        return None
    says = f"job {job_id} is {fields['status']} and {place.key} lacks {place.member}"
    return Difference("missing", job_id, says, Mend(place.key, ("SADD", place.key, place.member), guard(fields)))


def _in_zset(job_id: str, fields: Fields, place: Place, seen: Any) -> Difference | None:
    # A running job without a lease gets one that has run out: whether its worker lives will show.
    mend = Mend(place.key, ("ZADD", place.key, _score(place.score or 0), place.member), guard(fields))
    if seen is None:
        says = f"job {job_id} is {fields['status']} and not in {place.key}"
        return Difference("missing", job_id, says, mend) if place.is_required else None
    if place.score is None or float(seen) == place.score or abs(float(seen) - place.score) <= _ROUNDING_MS:
        return None
    says = f"{place.key} has job {job_id} at {_score(float(seen))}, and by its record it belongs at "
    return Difference("score", job_id, says + _score(place.score), mend)


def _in_string(job_id: str, fields: Fields, place: Place, seen: Any) -> Difference | None:
    holder = text(seen or b"")
    if holder == job_id:
        return None
    mend = None if holder else Mend(place.key, ("SET", place.key, job_id), guard(fields))
    who = f"names job {holder}" if holder else "does not exist"
    return Difference("missing", job_id, f"job {job_id} is {fields['status']} and {place.key} {who}", mend)


def _score(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)
