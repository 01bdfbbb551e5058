"""The book of limits: what they are, who holds them, and who waits for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from workplatform.store.connection import Connector, Scripts

_WAITED_FOR_AT_MOST: Final = 1000
_AT_ONCE: Final = 20
_CONFIGURE_PATIENCE_S: Final = 10.0

Limit = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LimitState:
    """A limit as it stands: `configured` by settings, `changed` at run time (each None if it is not)."""

    name: str
    configured: Limit | None
    changed: Limit | None
    running: int
    waiting: int


class LimitBook:
    """The limits by name, `type:TYPE` or `key:KEY`. Methods raise StoreUnavailableError when Redis does not answer.

    A limit is a mapping with a `rule`, as limit_of() of the scripts reads it, and whatever else its reader needs.
    """

    def __init__(self, connector: Connector, scripts: Scripts) -> None:
        self._connector = connector
        self._scripts = scripts

    def configure(self, limits: Mapping[str, Limit]) -> None:
        """Write the limits that settings name in place of those that they named before."""
        words = [word for name, limit in limits.items() for word in (name, orjson.dumps(limit))]
        self._scripts.persist("configure_limits", *words, patience_s=_CONFIGURE_PATIENCE_S)

    def put(self, name: str, limit: Limit) -> None:
        """Set a limit, whatever is configured."""
        self._scripts("put_limit", name, orjson.dumps(limit))

    def take_back(self, name: str) -> None:
        """Let what is configured count again."""
        self._scripts("put_limit", name, "")

    def states(self) -> list[LimitState]:
        """Return every limit that is set or configured, and those that jobs wait for, at most 1,000 of these."""
        return [
            LimitState(name.decode(), _read(configured), _read(changed), running, waiting)
            for name, configured, changed, running, waiting in self._scripts("limits", _WAITED_FOR_AT_MOST)
        ]

    def let_in(self) -> bool:
        """Let in what may begin by now; returns whether there may be more of it."""
        return int(self._scripts("let_in", _AT_ONCE, _AT_ONCE)) == _AT_ONCE

    def memory_share(self) -> float:
        """Return which share of Redis's maxmemory is in use, 0 if there is no such bound."""
        memory = self._connector.read(lambda client: client.info("memory"))
        return float(memory["used_memory"] / memory["maxmemory"]) if memory["maxmemory"] else 0.0

    def refuse_submissions(self, for_ms: int) -> None:
        """Refuse submissions for so long, as memory runs short; 0 ends that."""
        self._scripts("fill", for_ms)


def _read(limit: bytes) -> Limit | None:
    return orjson.loads(limit) if limit else None
