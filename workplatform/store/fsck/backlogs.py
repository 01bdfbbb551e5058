"""Backlogs: where API keys take turns, queued jobs wait in lists of their keys before they come to the queue's own."""

from typing import Final

import orjson

from workplatform.store.fsck.names import Names
from workplatform.store.fsck.reading import Reader, text

_CHUNK: Final = 1000
_SHARED: Final = "*"


class Backlogs:
    """Tells of a queued job that does not stand in its queue whether its turn has just not come."""

    def __init__(self, reader: Reader, keys: Names) -> None:
        self._reader = reader
        self._keys = keys
        self._known: dict[tuple[str, int], set[str]] = {}

    def explain(self, job_id: str, queue: str, priority: int) -> bool:
        """Whether the job is in a backlog, or stands in its queue by now."""
        lane = queue, priority
        if job_id not in self._known.get(lane, ()):
            self._known[lane] = self._read(*lane)
        if job_id in self._known[lane]:
            return True
        # It may have come to the queue while its backlog was read.
        [place, status] = self._reader.ask(
            [("ZSCORE", self._keys.queued(*lane), job_id), ("HGET", self._keys.job(job_id), "status")]
        )
        return place is not None or status != b"queued"

    def _read(self, queue: str, priority: int) -> set[str]:
        """Return the jobs of a lane's backlogs; from the newest on, so that none hides by moving on."""
        rule, standing = self._reader.ask(
            [("HGET", self._keys.rules, f"lane:{queue}:{priority}"), ("HKEYS", self._keys.standing(queue, priority))]
        )
        found = set[str]()
        if text(rule or b"") != _SHARED:
            return found
        for by in map(text, standing):
            at = 0
            while True:
                key = self._keys.backlog(queue, priority, by)
                [messages] = self._reader.ask([("LRANGE", key, at, at + _CHUNK - 1)])
                found |= {str(orjson.loads(message)["headers"]["id"]) for message in messages}
                at += _CHUNK
                if len(messages) < _CHUNK:
                    break
        return found
