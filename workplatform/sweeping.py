"""Sweeping: the scheduler's step that removes what retention has outlived, a bounded number at a time."""

from typing import Final

from workplatform.store.jobs import JobStore

_AT_ONCE: Final = 50
_STEPS: Final = 8


class Sweeping:
    """Removes jobs by the rules of sweep.lua; any number of schedulers may do so at once.

    A million jobs may be due at once, after a change of the rules. So neither a script nor a tick removes many: Redis
    and the scheduler have other work.
    """

    def __init__(self, store: JobStore, rules: bytes) -> None:
        self._store = store
        self._rules = rules

    def tick(self) -> bool:
        """Remove some of what is due; returns whether there is more of it."""
        return all(self._store.sweep(self._rules, _AT_ONCE) >= _AT_ONCE for _ in range(_STEPS))
