"""Limits: jobs that wait for one will be looked at, and what claims go by is what was set."""

from collections.abc import Iterator, Sequence
from typing import Final

import orjson

from workplatform.store.fsck.findings import Difference, Mend
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.reading import Command, Reader, steps, text

_KINDS: Final = ("type:", "key:")
_NO_RULE: Final = "- - -"


class LimitCheck:
    """Checks what is kept of limits beside the jobs."""

    def __init__(self, reader: Reader, keys: Names) -> None:
        self._reader = reader
        self._keys = keys

    def of_parked(self, keys: Sequence[str]) -> Iterator[Difference]:
        """Check that each limit for which jobs wait is due for a look."""
        names = [key.removeprefix(self._keys.of_limit("parked", "")) for key in keys]
        commands: list[Command] = []
        for key, name in zip(keys, names, strict=True):
            commands += [("EXISTS", key), ("ZSCORE", self._keys.offers, name)]
        answers = self._reader.ask(commands)
        for key, name, waits, look in zip(keys, names, answers[::2], answers[1::2], strict=True):
            if waits and look is None:
                mend = Mend(self._keys.offers, ("ZADD", self._keys.offers, "0", name))
                yield Difference("missing", key, f"jobs wait in {key} and nothing will let them in", mend)

    def of_rounds(self, keys: Sequence[str]) -> Iterator[Difference]:
        """Check that turns at a limit are noted only while jobs wait for it."""
        commands: list[Command] = []
        for key in keys:
            name = key.removeprefix(self._keys.of_limit("rounds", ""))
            commands += [("EXISTS", key), ("EXISTS", self._keys.of_limit("parked", name))]
        answers = self._reader.ask(commands)
        for key, is_there, has_jobs in zip(keys, answers[::2], answers[1::2], strict=True):
            if is_there and not has_jobs:
                yield Difference("stray", key, f"{key} notes turns, and no job waits", Mend(key, ("DEL", key)))

    def of_offers(self, keys: Sequence[str]) -> Iterator[Difference]:
        """Check that jobs wait for each limit that is due for a look."""
        for key in keys:
            for names in steps(self._reader.members(key, is_sorted=True)):
                commands: list[Command] = []
                for name in names:
                    commands += [("ZSCORE", key, name), ("EXISTS", self._keys.of_limit("parked", name))]
                answers = self._reader.ask(commands)
                for name, look, has_jobs in zip(names, answers[::2], answers[1::2], strict=True):
                    if look is not None and not has_jobs:
                        mend = Mend(key, ("ZADD", key, "0", name))  # who looks finds that there is none, and forgets it
                        yield Difference("stray", name, f"{key} lists {name}, for which no job waits", mend)

    def of_rules(self, keys: Sequence[str]) -> Iterator[Difference]:
        """Check that claims go by the limits that are set at run time, or else configured."""
        for key in keys:
            rules, changed, configured = self._reader.ask(
                [("HGETALL", key), ("HGETALL", self._keys.limits), ("HGETALL", self._keys.configured_limits)]
            )
            said = {text(name): _rule(limit) for name, limit in {**configured, **changed}.items()}
            found = {text(name): text(rule) for name, rule in rules.items() if text(name).startswith(_KINDS)}
            for name in sorted({*said, *found}):
                wanted = said.get(name, _NO_RULE)
                if found.get(name, _NO_RULE) != wanted:
                    says = f"{key} has {found.get(name, _NO_RULE)} for {name}, and what is set is {wanted}"
                    yield Difference("limit", name, says)


def _rule(limit: bytes) -> str:
    return str(orjson.loads(limit).get("rule", _NO_RULE))
