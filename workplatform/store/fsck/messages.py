"""Messages: each queued job has one in its list, or is being claimed at this moment."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import orjson

from workplatform.store.fsck.findings import Difference
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.reading import Reader

_CHUNK: Final = 1000
_PAUSE_S: Final = 0.5


class MessageCheck:
    """Checks the lists that Celery pops from.

    A message is gone a moment before its job is claimed, and the scheduler brings a lost one back within seconds, so
    only what stays without a message for `patience_s` is a difference. Messages of jobs that are not queued any more
    are none: a claim passes them over.
    """

    def __init__(self, reader: Reader, keys: Names, *, patience_s: float) -> None:
        self._reader = reader
        self._keys = keys
        self._patience_s = patience_s

    def differences(self, queues: Iterator[tuple[str, int]]) -> Iterator[Difference]:
        """Check the lists of queues and priorities."""
        suspects = {place: without for place in queues if (without := self._without(*place))}
        deadline = time.monotonic() + self._patience_s
        while suspects and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
            still = {place: self._without(*place) & ids for place, ids in suspects.items()}
            suspects = {place: ids for place, ids in still.items() if ids}
        for (queue, priority), without in sorted(suspects.items()):
            for job_id in sorted(job_id for job_id, _ in without):
                key = self._keys.messages(queue, priority)
                yield Difference("message", job_id, f"job {job_id} is queued and has no message in {key}")

    def _without(self, queue: str, priority: int) -> set[tuple[str, float]]:
        """Return the jobs, with their numbers, that were queued before and after a look at the whole list."""
        before = self._queued(queue, priority)
        if not before:
            return set()
        named = set(self._named(queue, priority))
        missing = {job for job in before if job[0] not in named}
        return missing & self._queued(queue, priority) if missing else missing

    def _queued(self, queue: str, priority: int) -> set[tuple[str, float]]:
        key = self._keys.queued(queue, priority)
        ids = list(dict.fromkeys(self._reader.members(key, is_sorted=True)))
        found: set[tuple[str, float]] = set()
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            [scores] = self._reader.ask([("ZMSCORE", key, *part)])
            found |= {(job_id, score) for job_id, score in zip(part, scores, strict=True) if score is not None}
        return found

    def _named(self, queue: str, priority: int) -> Iterator[str]:
        """Give the jobs that a list's messages are for, from the newest on: pushing and popping hides none so."""
        at = 0
        while True:
            key = self._keys.messages(queue, priority)
            [messages] = self._reader.ask([("LRANGE", key, at, at + _CHUNK - 1)])
            for message in messages:
                with suppress(ValueError, KeyError, TypeError):  # it wakes nobody
                    yield str(orjson.loads(message)["headers"]["id"])
            if len(messages) < _CHUNK:
                return
            at += _CHUNK
