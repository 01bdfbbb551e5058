"""The event stream: everything that happened to jobs, in order, for the API processes to pass on."""

from collections.abc import Sequence
from typing import Any

import redis

from workplatform.errors import StoreUnavailableError
from workplatform.store.connection import Connector
from workplatform.store.keys import Keys
from workplatform.store.record_parsing import parse_record
from workplatform.store.records import Record, StoredEvent

_BATCH = 1000


class EventLog:
    """Reads the stream. One reader a process is enough for any number of clients."""

    def __init__(self, connector: Connector, *, prefix: str) -> None:
        self._connector = connector
        self._keys = Keys(prefix)
        self._key = self._keys.events

    def last_id(self) -> str:
        """Return the newest entry's id, "0-0" if there is none."""
        entries = self._connector.read(lambda client: client.xrevrange(self._key, count=1))
        return entries[0][0].decode() if entries else "0-0"

    def window(self) -> tuple[str, str]:
        """Return the ids of the oldest and the newest entry that are kept, "0-0" if there is none."""

        def ends(client: redis.Redis) -> Any:
            pipeline = client.pipeline(transaction=True)
            pipeline.xrange(self._key, count=1)
            pipeline.xrevrange(self._key, count=1)
            return pipeline.execute()

        oldest, newest = self._connector.read(ends)
        return (oldest[0][0].decode(), newest[0][0].decode()) if newest else ("0-0", "0-0")

    def snapshot(self, job_ids: Sequence[str]) -> tuple[str, list[Record]]:
        """Return the newest entry's id, and the jobs (those that exist) as they stood at that entry."""

        def look(client: redis.Redis) -> Any:
            pipeline = client.pipeline(transaction=True)
            pipeline.xrevrange(self._key, count=1)
            for job_id in job_ids:
                pipeline.hgetall(self._keys.job(job_id))
            return pipeline.execute()

        newest, *hashes = self._connector.read(look)
        records = [
            parse_record(job_id, {name.decode(): value for name, value in fields.items()})
            for job_id, fields in zip(job_ids, hashes, strict=True)
            if fields
        ]
        return newest[0][0].decode() if newest else "0-0", records

    def after(self, event_id: str, *, limit: int = _BATCH) -> list[StoredEvent]:
        """Return the entries after an id, oldest first, at once."""
        entries = self._connector.read(lambda client: client.xrange(self._key, f"({event_id}", "+", count=limit))
        return [_parse(*entry) for entry in entries]

    def follow(self, event_id: str, *, block_s: float) -> list[StoredEvent]:
        """Wait up to `block_s` (less than the connector's patience) for entries after an id."""
        try:
            answer = self._connector.client.xread({self._key: event_id}, count=_BATCH, block=int(block_s * 1000))
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise StoreUnavailableError(f"Redis does not answer: {error}") from error
        streams = answer.values() if isinstance(answer, dict) else (entries for _, entries in answer or ())
        return [_parse(*entry) for entries in streams for entry in _flat(entries)]


def _flat(entries: Any) -> list[Any]:
    """Undo the extra list that RESP3 answers carry."""
    return entries[0] if len(entries) == 1 and isinstance(entries[0], list) else list(entries)


def _parse(entry_id: bytes, fields: dict[bytes, bytes]) -> StoredEvent:
    named = {name.decode(): value.decode("utf-8", "replace") for name, value in fields.items()}
    return StoredEvent(
        id=entry_id.decode(),
        event=named.pop("event"),
        job_id=named.pop("job"),
        type=named.pop("type"),
        status=named.pop("status"),
        fields=named,
    )
