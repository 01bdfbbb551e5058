"""Sweeping: the scheduler's step that removes what retention has outlived, a bounded number at a time."""

from typing import Final

from workplatform.store.jobs import JobStore

_AT_ONCE: Final = 200


class Sweeping:
    """Removes jobs by the rules of sweep.lua; any number of schedulers may do so at once."""

    def __init__(self, store: JobStore, rules: bytes) -> None:
        self._store = store
        self._rules = rules

    def tick(self) -> None:
        """Remove everything that is due."""
        while self._store.sweep(self._rules, _AT_ONCE) == _AT_ONCE:
            continue
