"""Lanes: where API keys take turns, what is counted of each key is what stands, and each backlog is gone on with."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import orjson

from workplatform.apikeys import DEFAULT
from workplatform.store.fsck.findings import Difference, Mend
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.reading import Command, Reader, text
from workplatform.store.keys import WINDOW

_SHARED: Final = "*"
_TRIES: Final = 50
_NAME: Final = re.compile(r"(?:standing|behind):([^:]+):(\d)(?::([^:]+))?")

Lane = tuple[str, int]


class LaneCheck:
    """Checks lanes by what is left of turns in them."""

    def __init__(self, reader: Reader, keys: Names) -> None:
        self._reader = reader
        self._keys = keys
        self._told = set[str]()

    def differences(self, keys: Sequence[str]) -> Iterator[Difference]:
        """Check the lanes that some keys `standing:` and `behind:` are of; what is wrong with a lane is told once."""
        lanes: dict[Lane, set[str]] = {}
        for key in keys:
            if match := _NAME.fullmatch(key.removeprefix(self._keys.prefix)):
                lanes.setdefault((match[1], int(match[2])), set()).update(filter(None, [match[3]]))
        for lane, named in lanes.items():
            for difference in self._of_lane(lane, named):
                if difference.sentence not in self._told:
                    self._told.add(difference.sentence)
                    yield difference

    def _of_lane(self, lane: Lane, named: set[str]) -> Iterator[Difference]:
        for _ in range(_TRIES):
            queued, counted = self._reader.ask(self._stands(lane))
            callers = sorted({*named, *map(text, counted)})
            of_callers = [command for by in callers for command in self._backlog(lane, by)]
            owners: list[Command] = [("HGET", self._keys.job(text(job_id)), "by") for job_id in queued]
            rule, *answers = self._reader.ask(
                [("HGET", self._keys.rules, f"lane:{lane[0]}:{lane[1]}"), *self._stands(lane), *owners, *of_callers]
            )
            if answers[:2] == [queued, counted]:
                bys, found = answers[2 : 2 + len(queued)], answers[2 + len(queued) :]
                stand = Counter(text(by or DEFAULT.encode()) for by in bys)
                backlogs = zip(callers, found[::2], found[1::2], strict=True)
                left = {by for by, has_jobs, is_gone_on_with in backlogs if has_jobs and not is_gone_on_with}
                told = {text(by): int(number) for by, number in counted.items()}
                yield from self._compared(lane, told, stand if text(rule or b"") == _SHARED else None, left)
                return

    def _stands(self, lane: Lane) -> list[Command]:
        return [("ZRANGE", self._keys.queued(*lane), 0, -1), ("HGETALL", self._keys.standing(*lane))]

    def _backlog(self, lane: Lane, by: str) -> list[Command]:
        member = orjson.dumps([lane[0], str(lane[1]), by]).decode()
        return [("EXISTS", self._keys.behind(*lane, by)), ("SISMEMBER", self._keys.refills, member)]

    def _compared(
        self, lane: Lane, counted: Mapping[str, int], stand: Mapping[str, int] | None, left: set[str]
    ) -> Iterator[Difference]:
        """Compare what a lane counts with what stands in it (None: keys take no turns there)."""
        key = self._keys.standing(*lane)
        words = (lane[0], str(lane[1]), *sorted({*counted, *(stand or ()), *left}))
        mend = Mend(key, words, script="recount")
        for by in sorted({*counted, *(stand or ())}):
            number = (stand or {}).get(by, 0)
            if counted.get(by, 0) != number:
                says = f"{key} counts {counted.get(by, 0)} jobs of API key {by}, and {number} stand"
                yield Difference("score", key, says, mend)
        for by in sorted(left):
            if stand is None or stand.get(by, 0) < WINDOW:
                says = f"nothing goes on with {self._keys.behind(*lane, by)}"
                yield Difference("missing", self._keys.behind(*lane, by), says, mend if stand is not None else None)
