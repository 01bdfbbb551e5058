"""The stream of events: it tells of each job what its record says, and nothing that cannot have happened."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

from workplatform.states import FINAL, TRANSITIONS, Status
from workplatform.store.fsck.findings import Difference
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.reading import Reader, steps, text
from workplatform.store.keys import EVENTS_KEPT

_CHUNK: Final = 1000


class StreamCheck:
    """Reads the stream once from its oldest entry to its newest."""

    def __init__(self, reader: Reader, keys: Names) -> None:
        self._reader = reader
        self._keys = keys
        self._last: dict[str, Status] = {}
        self._position = "-"
        self._since_ms = 0
        self._found: list[Difference] = []

    def differences(self) -> Iterator[Difference]:
        """Check what is kept of the stream."""
        while self._advance([])[0] == _CHUNK:
            pass
        for job_ids in steps(list(self._last)):
            yield from self._against_records(job_ids)
        if self._since_ms:
            yield from self._untold()
        yield from self._found

    def _advance(self, job_ids: Sequence[str]) -> tuple[int, list[str | None]]:
        """Read on; returns how many entries there were, and the jobs' statuses at that very moment."""
        reads = [("HGET", self._keys.job(job_id), "status") for job_id in job_ids]
        oldest, entries, *statuses = self._reader.ask(
            [
                ("XRANGE", self._keys.events, "-", "+", "COUNT", 1),
                ("XRANGE", self._keys.events, self._position, "+", "COUNT", _CHUNK),
                *reads,
            ]
        )
        if oldest:
            self._begin_anew_after(_moment(oldest[0][0]))
        for entry_id, fields in entries:
            self._note(_named(fields))
            self._position = f"({text(entry_id)}"
        return len(entries), [None if status is None else text(status) for status in statuses]

    def _begin_anew_after(self, oldest: tuple[int, int]) -> None:
        """Forget what was read if entries behind it were trimmed before they could be."""
        if self._position == "-" or oldest > _moment(self._position[1:].encode()):
            self._last.clear()
            self._since_ms = oldest[0]

    def _note(self, event: dict[str, str]) -> None:
        job_id, status = event["job"], Status(event["status"])
        before = self._last.get(job_id)
        self._last[job_id] = status
        is_possible = before is None or before == status or status in TRANSITIONS[before]
        if not is_possible or (before == status and status in FINAL):
            says = f"the stream tells that job {job_id} became {status} ({event['event']}) after it was {before}"
            self._found.append(Difference("stream", job_id, says))

    def _against_records(self, job_ids: Sequence[str]) -> Iterator[Difference]:
        while True:
            number, statuses = self._advance(job_ids)
            if number < _CHUNK:
                break
        for job_id, status in zip(job_ids, statuses, strict=True):
            told = self._last.get(job_id)
            if told is None:  # trimmed meanwhile
                continue
            if status is None and told not in FINAL:
                yield Difference("stream", job_id, f"the stream tells of job {job_id} as {told}, and it does not exist")
            elif status is not None and status != told:
                says = f"the stream tells of job {job_id} as {told}, and its record says {status}"
                yield Difference("stream", job_id, says)

    def _untold(self) -> Iterator[Difference]:
        """Find jobs that ended while the stream was kept, and of whose end it says nothing."""
        [types] = self._reader.ask([("SMEMBERS", self._keys.types)])
        kinds = [self._keys.finished(text(job_type), status) for job_type in types for status in FINAL]
        since = (self._since_ms + 1, "+inf", "LIMIT", 0, EVENTS_KEPT)
        ended = chain.from_iterable(self._reader.ask([("ZRANGEBYSCORE", key, *since) for key in kinds]))
        while self._advance([])[0] == _CHUNK:
            pass
        for job_id in map(text, ended):
            if job_id not in self._last:
                yield Difference("stream", job_id, f"job {job_id} has ended and the stream does not tell of it")


def _moment(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


def _named(fields: Any) -> dict[str, str]:
    pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
    return {text(name): text(value) for name, value in pairs}
