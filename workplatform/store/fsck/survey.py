"""The survey: one pass over every key of the platform, each checked by what it is."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final

from workplatform.states import Status
from workplatform.store.connection import Connector, Scripts
from workplatform.store.fsck.bonds import BondCheck
from workplatform.store.fsck.books import BookCheck
from workplatform.store.fsck.errors import ErrorCheck
from workplatform.store.fsck.findings import Difference
from workplatform.store.fsck.lanes import LaneCheck
from workplatform.store.fsck.limits import LimitCheck
from workplatform.store.fsck.members import MemberCheck
from workplatform.store.fsck.messages import MessageCheck
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.places import TakesSlot
from workplatform.store.fsck.reading import Reader, steps, text
from workplatform.store.fsck.records import RecordCheck
from workplatform.store.fsck.stream import StreamCheck
from workplatform.store.fsck.tags import TagCheck
from workplatform.store.keys import PRIORITIES

Check = Callable[[Sequence[str]], Iterator[Difference]]

# Longer than the scheduler needs to notice a lost message and to bring it back.
PATIENCE_S: Final = 8.0
_OF_KOMBU: Final = "_kombu."


@dataclass(frozen=True, slots=True)
class _Family:
    """Keys of one kind: how they are named after the prefix, what type they have, and what checks some of them."""

    name: str
    type: str
    check: Check


class Survey:
    """Compares everything that is derived with the records, while the platform may be running.

    Each comparison reads all that it rests on in one atomic step, so what moves meanwhile is no difference.
    `takes_slot` tells of a job type whether its running jobs take a slot of their node. Methods raise
    StoreUnavailableError.
    """

    def __init__(
        self, connector: Connector, *, prefix: str, takes_slot: TakesSlot, patience_s: float = PATIENCE_S
    ) -> None:
        self._reader = reader = Reader(connector)
        self._scripts = Scripts(connector, prefix=prefix)
        self._keys = keys = Names(prefix)
        self._records = RecordCheck(reader, keys, takes_slot)
        self._members = MemberCheck(reader, keys, takes_slot)
        self._messages = MessageCheck(reader, keys, patience_s=patience_s)
        self._books = BookCheck(reader, keys)
        self._bonds = BondCheck(reader, keys)
        self._errors = ErrorCheck(reader, keys)
        self._lanes = LaneCheck(reader, keys)
        self._limits = LimitCheck(reader, keys)
        self._tags = TagCheck(reader, keys)
        self._families = self._all_families()
        self.jobs = 0
        self.keys = 0

    def differences(self) -> Iterator[Difference]:
        """Check everything."""
        queues = set[tuple[str, int]]()
        for found in steps(self._reader.keys(f"{_escaped(self._keys.prefix)}*")):
            names = [key.removeprefix(self._keys.prefix) for key in dict.fromkeys(found)]
            types = self._reader.ask([("TYPE", self._keys.prefix + name) for name in names])
            self.keys += len(names)
            yield from self._checked(dict(zip(names, map(text, types), strict=True)))
            queues |= {place for name in names if (place := _queue_of(name))}
        yield from self._messages.differences(iter(sorted(queues)))
        yield from StreamCheck(self._reader, self._keys).differences()

    def mend(self, difference: Difference) -> bool:
        """Remove a difference, if there is a safe way; False if there is none, or things have moved on."""
        mend = difference.mend
        if mend is None:
            return False
        if mend.script:
            return bool(self._scripts(mend.script, *mend.command))
        record = self._keys.job(difference.subject) if mend.record else ""
        guards = chain.from_iterable(mend.record.items())
        return bool(self._scripts("mend", record, len(mend.record), *guards, mend.key, mend.text, *mend.command))

    def _checked(self, types: dict[str, str]) -> Iterator[Difference]:
        groups: dict[str, tuple[_Family, list[str]]] = {}
        for name, found_type in types.items():
            family = self._family(name)
            if found_type == "none" or name.startswith(_OF_KOMBU):  # "none": gone since it was named
                continue
            key = self._keys.prefix + name
            if family is None:
                if found_type != "list":
                    yield Difference("unknown", key, f"{key} is no key of the platform")
            elif found_type != family.type:
                yield Difference("unknown", key, f"{key} is a {found_type} and has to be a {family.type}")
            else:
                groups.setdefault(family.name, (family, []))[1].append(key)
        for family, keys in groups.values():
            yield from family.check(keys)

    def _family(self, name: str) -> _Family | None:
        return self._families.get(name) or self._families.get(name.partition(":")[0] + ":")

    def _all_families(self) -> dict[str, _Family]:
        """Name every kind of key: with a colon at its end where more follows."""
        members, books = self._members, self._books
        listed, slotted = _each(members.of_collection, is_sorted=True), _each(members.of_collection, is_sorted=False)
        rows: list[tuple[str, str, Check]] = [
            ("job:", "hash", self._of_jobs),
            ("logs:", "stream", self._of_leavings("logs:")),
            *((name, "list", self._of_leavings(name)) for name in ("deliveries:", "progress:", "attempts:")),
            ("index:", "zset", self._of_indexes),
            *((name, "zset", listed) for name in ("children:", "members:", "doomed")),
            ("group:", "hash", self._bonds.of_groups),
            ("flows", "zset", partial(self._bonds.of_listed, kind="flow")),
            ("batches", "zset", partial(self._bonds.of_listed, kind="batch")),
            *((name, "zset", _nothing) for name in ("releasing", "group-endings", "group-work")),
            ("queued:", "zset", listed),
            ("scheduled", "zset", listed),
            ("behind:", "zset", _both(listed, self._lanes.differences)),
            ("parked:", "zset", _both(listed, self._limits.of_parked)),
            *((name, "zset", listed) for name in ("holding:", "woken:")),
            ("limited", "zset", listed),
            ("leases", "zset", listed),
            ("finished", "zset", listed),
            ("finished:", "zset", listed),
            ("slots:", "set", slotted),
            ("series:", "zset", _each(members.of_series)),
            ("holder:", "string", _each(members.of_holder)),
            ("unique:", "string", _each(members.of_owner)),
            ("schedule:", "hash", self._of_schedules),
            ("schedules", "zset", self._of_listed_schedules),
            ("fires:", "list", self._of_histories),
            ("idempotency:", "hash", books.of_passing),
            ("worker:", "hash", books.of_passing),
            ("offers", "zset", self._limits.of_offers),
            ("rounds:", "hash", self._limits.of_rounds),
            ("rules", "hash", self._limits.of_rules),
            ("standing:", "hash", self._lanes.differences),
            *((name, "zset", _nothing) for name in ("suspects", "serving", "workers", "slot-queue:")),
            *((name, "set", _nothing) for name in ("types", "refills", "paused")),
            ("sequence", "string", _nothing),
            ("bucket:", "string", _nothing),
            *((name, "hash", _nothing) for name in ("limits", "limits:")),
            ("backlog:", "list", _nothing),
            *((name, "zset", listed) for name in ("failures:", "alike:")),
            ("tagged:", "zset", self._tags.of_tagged),
            *((name, "zset", _nothing) for name in ("retries", "retrying", "expiring")),
            ("retry:", "hash", _nothing),
            ("error:", "hash", self._errors.of_errors),
            ("errors:", "zset", _each(self._errors.of_listed)),
            ("codes:", "set", _nothing),
            ("events", "stream", _nothing),  # read by itself, from its beginning to its end
        ]
        return {name: _Family(name, kind, check) for name, kind, check in rows}

    def _of_jobs(self, keys: Sequence[str]) -> Iterator[Difference]:
        self.jobs += len(keys)
        return self._records.differences([key.removeprefix(self._keys.job("")) for key in keys])

    def _of_indexes(self, keys: Sequence[str]) -> Iterator[Difference]:
        for key in keys:
            yield from self._members.of_collection(key, is_sorted=True)
            if key.endswith(f":{Status.WAITING}"):
                yield from self._bonds.of_waiting(key)
            if key.endswith(f":{Status.FAILED}"):
                yield from self._tags.of_failed(key)

    def _of_leavings(self, name: str) -> Check:
        return partial(self._members.of_leavings, prefix=self._keys.prefix + name)

    def _of_schedules(self, keys: Sequence[str]) -> Iterator[Difference]:
        return self._books.of_schedules([key.removeprefix(self._keys.schedule("")) for key in keys])

    def _of_listed_schedules(self, keys: Sequence[str]) -> Iterator[Difference]:
        for key in keys:
            for names in steps(self._reader.members(key, is_sorted=True)):
                yield from self._books.of_schedules(names)

    def _of_histories(self, keys: Sequence[str]) -> Iterator[Difference]:
        return self._books.of_histories([key.removeprefix(self._keys.fires("")) for key in keys])


def _each(check: Callable[..., Iterator[Difference]], **options: bool) -> Check:
    def of_all(keys: Sequence[str]) -> Iterator[Difference]:
        for key in keys:
            yield from check(key, **options)

    return of_all


def _both(first: Check, second: Check) -> Check:
    return lambda keys: chain(first(keys), second(keys))


def _nothing(_keys: Sequence[str]) -> Iterator[Difference]:
    return iter(())


def _queue_of(name: str) -> tuple[str, int] | None:
    match = re.fullmatch(r"queued:(.+):(\d)", name)
    return (match[1], int(match[2])) if match and int(match[2]) in PRIORITIES else None


def _escaped(prefix: str) -> str:
    return re.sub(r"([*?\[\]\\])", r"\\\1", prefix)
