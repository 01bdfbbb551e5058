"""Schedules and requests: what is kept besides jobs agrees with itself."""

from collections.abc import Iterator, Sequence
from typing import Final

from workplatform.store.fsck.findings import Difference, Mend
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.reading import Command, Reader

_NEVER: Final = float("inf")


class BookCheck:
    """Checks schedules against their index, and that what is remembered for a time is forgotten after it."""

    def __init__(self, reader: Reader, keys: Names) -> None:
        self._reader = reader
        self._keys = keys

    def of_schedules(self, names: Sequence[str]) -> Iterator[Difference]:
        """Check that each schedule is listed by its next moment."""
        commands: list[Command] = []
        for name in names:
            commands += [
                ("HMGET", self._keys.schedule(name), "nextAt", "spec", "revision", "createdAt"),
                ("ZSCORE", self._keys.schedules, name),
            ]
        answers = self._reader.ask(commands)
        for name, fields, score in zip(names, answers[::2], answers[1::2], strict=True):
            if not any(value is not None for value in fields):
                if score is not None:
                    yield Difference("schedule", name, f"{self._keys.schedules} lists {name}, which does not exist")
                continue
            if None in fields[1:]:
                yield Difference("schedule", name, f"schedule {name} lacks its spec, revision or moment of creation")
            due = _NEVER if fields[0] is None else float(fields[0])
            if score is None or float(score) != due:
                says = f"schedule {name} fires next at {due} and {self._keys.schedules} has it at {score}"
                yield Difference("schedule", name, says)

    def of_histories(self, names: Sequence[str]) -> Iterator[Difference]:
        """Check that the history of fires belongs to a schedule."""
        commands: list[Command] = []
        for name in names:
            commands += [("EXISTS", self._keys.schedule(name)), ("EXISTS", self._keys.fires(name))]
        answers = self._reader.ask(commands)
        for name, has_schedule, has_fires in zip(names, answers[::2], answers[1::2], strict=True):
            if has_fires and not has_schedule:
                key = self._keys.fires(name)
                yield Difference("stray", name, f"{key} is of a schedule that does not exist", Mend(key, ("DEL", key)))

    def of_passing(self, keys: Sequence[str]) -> Iterator[Difference]:
        """Check that keys which are to go by themselves will."""
        answers = self._reader.ask([("PTTL", key) for key in keys])
        for key, left_ms in zip(keys, answers, strict=True):
            if left_ms == -1:
                mend = Mend(key, ("PEXPIRE", key, "86400000"))
                yield Difference("stray", key, f"{key} would never be forgotten", mend)
