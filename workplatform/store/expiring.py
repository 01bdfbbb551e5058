"""The list of removed jobs whose files are to go, and what jobs that have not ended were asked to do."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import orjson
from redis import Redis

from workplatform.states import FINAL, Status
from workplatform.store.connection import Connector, Scripts
from workplatform.store.keys import Keys
from workplatform.store.words import in_ms

_AT_ONCE: Final = 500


class ExpiringBook:
    """The list. Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, connector: Connector, scripts: Scripts, keys: Keys) -> None:
        self._connector = connector
        self._scripts = scripts
        self._keys = keys

    def due(self, most: int) -> list[str]:
        """Return removed jobs whose files are to go now."""
        return [job_id.decode() for job_id in self._scripts("due_expiring", most)]

    def done(self, job_ids: Sequence[str]) -> None:
        """Forget jobs whose files are gone."""
        self._connector.read(lambda client: client.zrem(self._keys.expiring, *job_ids))

    def postpone(self, job_ids: Sequence[str], wait: timedelta) -> None:
        """Have files looked at later: somebody uses them."""
        self._scripts("postpone_expiring", in_ms(wait), *job_ids)

    def live_payloads(self) -> Iterator[Any]:
        """Give the payload of every job that has not ended, some hundreds a call."""
        types = self._connector.read(lambda client: client.smembers(self._keys.types))
        for job_type in sorted(types):
            for status in sorted(set(Status) - FINAL):
                yield from self._payloads(self._keys.in_status(job_type.decode(), status))

    def _payloads(self, index: str) -> Iterator[Any]:
        above = "-"
        while ids := self._connector.read(partial(_page, index=index, above=above)):
            for spec in self._connector.read(partial(self._specs, job_ids=[job_id.decode() for job_id in ids])):
                if spec:
                    yield orjson.loads(spec)["payload"]
            above = f"({ids[-1].decode()}"

    def _specs(self, client: Redis, job_ids: Sequence[str]) -> Any:
        pipeline = client.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.hget(self._keys.job(job_id), "spec")
        return pipeline.execute()


def _page(client: Redis, *, index: str, above: str) -> Any:
    return client.zrangebylex(index, above, "+", start=0, num=_AT_ONCE)
