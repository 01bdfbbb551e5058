"""Reading the store as it is at one moment, in bounded steps that never hold Redis up."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

import redis

from workplatform.store.connection import Connector
from workplatform.store.fsck.places import FIELDS

T = TypeVar("T")
Command = Sequence[str | int]

STEP: Final = 200


class Reader:
    """Reads for the checks. Raises StoreUnavailableError when Redis does not answer."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Run reading commands as one atomic step; returns their answers."""

        def run(client: redis.Redis) -> Any:
            pipeline = client.pipeline(transaction=True)
            for command in commands:
                pipeline.execute_command(*command)
            return pipeline.execute()

        answers: list[Any] = self._connector.read(run)
        return answers

    def keys(self, pattern: str) -> Iterator[str]:
        """Give the names of the keys; one may come twice."""
        return self._scanned(lambda cursor, client: client.scan(cursor, match=pattern, count=1000))

    def members(self, key: str, *, is_sorted: bool) -> Iterator[str]:
        """Give the members of a zset or a set; one may come twice."""
        if is_sorted:
            return self._scanned(lambda cursor, client: client.zscan(key, cursor, count=500))
        return self._scanned(lambda cursor, client: client.sscan(key, cursor, count=500))

    def _scanned(self, scan: Callable[[int, redis.Redis], Any]) -> Iterator[str]:
        cursor = 0
        while True:
            cursor, found = self._connector.read(partial(scan, cursor))
            for item in found:
                yield text(item[0] if isinstance(item, tuple | list) else item)
            if cursor == 0:
                return


def fields_of(answer: Sequence[bytes | None]) -> dict[str, str]:
    """Name the values that an HMGET of FIELDS has returned; there are none if there is no such job."""
    return {name: text(value) for name, value in zip(FIELDS, answer, strict=True) if value is not None}


def steps(items: Iterable[T], size: int = STEP) -> Iterator[list[T]]:
    """Give the items in lists of a bounded size."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def text(value: bytes | str) -> str:
    """Return what is stored as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
