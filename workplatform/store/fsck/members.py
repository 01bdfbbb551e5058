"""From the places to the records: whatever names a job names one whose record says the same."""

from collections.abc import Iterator, Sequence

from workplatform.states import FINAL, Status
from workplatform.store.fsck.findings import Difference, Mend, guard
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.places import FIELDS, Fields, TakesSlot, faults, places
from workplatform.store.fsck.reading import Command, Reader, fields_of, steps, text


class MemberCheck:
    """Checks zsets and sets of jobs, and strings that name one."""

    def __init__(self, reader: Reader, keys: Names, takes_slot: TakesSlot) -> None:
        self._reader = reader
        self._keys = keys
        self._takes_slot = takes_slot

    def of_collection(self, key: str, *, is_sorted: bool) -> Iterator[Difference]:
        """Check that each member of a zset or a set is a job that stands there by its record."""
        probe, removal = ("ZSCORE", "ZREM") if is_sorted else ("SISMEMBER", "SREM")
        for job_ids in steps(self._reader.members(key, is_sorted=is_sorted)):
            commands: list[Command] = []
            for job_id in job_ids:
                commands += [(probe, key, job_id), self._read(job_id)]
            answers = iter(self._reader.ask(commands))
            for job_id in job_ids:
                seen, fields = next(answers), fields_of(next(answers))
                is_there = seen is not None if is_sorted else bool(seen)
                if is_there and not self._belongs(job_id, fields, key):
                    mend = Mend(key, (removal, key, job_id), guard(fields))
                    yield Difference("stray", job_id, f"{key} lists job {job_id}, which {_state(fields)}", mend)

    def of_series(self, key: str) -> Iterator[Difference]:
        """Check a series: an ended job may be listed only as the newest one, while older ones are active."""
        yield from self.of_collection(key, is_sorted=True)
        [listed] = self._reader.ask([("ZRANGE", key, 0, -1)])
        ids = [text(job_id) for job_id in listed]
        *answers, again = self._reader.ask([*map(self._read, ids), ("ZRANGE", key, 0, -1)])
        if again != listed:
            return  # it lives; what is wrong with it will still be so another time
        records = [fields_of(answer) for answer in answers]
        ended = [job_id for job_id, fields in zip(ids, records, strict=True) if fields.get("status") in FINAL]
        for job_id in ended:
            if job_id != ids[-1] or len(ended) == len(ids):
                fields = records[ids.index(job_id)]
                mend = Mend(key, ("ZREM", key, job_id), guard(fields))
                yield Difference("stray", job_id, f"{key} lists job {job_id}, which {_state(fields)}", mend)

    def of_holder(self, key: str) -> Iterator[Difference]:
        """Check that who holds a series runs, or is given a moment to end."""
        [held] = self._reader.ask([("GET", key)])
        job_id, _, fence = text(held or b"").partition(" ")
        if not held:
            return
        again, left_ms, answer = self._reader.ask([("GET", key), ("PTTL", key), self._read(job_id)])
        fields = fields_of(answer)
        runs = fields.get("status") == Status.RUNNING and fields.get("fence") == fence
        if again == held and left_ms < 0 and not runs:
            mend = Mend(key, ("DEL", key), guard(fields), text=text(held))
            yield Difference("stray", job_id, f"{key} is held by attempt {fence} of job {job_id}, which is over", mend)

    def of_owner(self, key: str) -> Iterator[Difference]:
        """Check that a unique key belongs to an active job that claims it."""
        [owner] = self._reader.ask([("GET", key)])
        if not owner:
            return
        job_id = text(owner)
        again, answer = self._reader.ask([("GET", key), self._read(job_id)])
        fields = fields_of(answer)
        if again == owner and not self._belongs(job_id, fields, key):
            mend = Mend(key, ("DEL", key), guard(fields), text=job_id)
            yield Difference("stray", job_id, f"{key} names job {job_id}, which {_state(fields)}", mend)

    def of_leavings(self, found: Sequence[str], prefix: str) -> Iterator[Difference]:
        """Check that keys named after a job belong to one that exists."""
        ids = [key.removeprefix(prefix) for key in found]
        commands: list[Command] = []
        for key, job_id in zip(found, ids, strict=True):
            commands += [("EXISTS", key), ("EXISTS", self._keys.job(job_id))]
        answers = self._reader.ask(commands)
        for key, job_id, is_there, has_job in zip(found, ids, answers[::2], answers[1::2], strict=True):
            if is_there and not has_job:
                mend = Mend(key, ("DEL", key), guard({}))
                yield Difference("stray", job_id, f"{key} is of job {job_id}, which does not exist", mend)

    def _read(self, job_id: str) -> Command:
        return ("HMGET", self._keys.job(job_id), *FIELDS)

    def _belongs(self, job_id: str, fields: Fields, key: str) -> bool:
        if not fields or any(faults(fields)):
            return bool(fields)  # what is wrong with a record is told by itself
        return any(
            place.key == key and place.member == job_id
            for place in places(job_id, fields, self._keys, self._takes_slot)
        )


def _state(fields: Fields) -> str:
    return f"is {fields.get('status')}" if fields else "does not exist"
