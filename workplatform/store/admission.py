"""Admission: what a submission is held to before its jobs are stored, and how its refusal is told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workplatform.refusals import MemoryShortError, QueueDrainingError, QueueFullError
from workplatform.store.connection import Word
from workplatform.store.records import NewJob


@dataclass(frozen=True, slots=True)
class Admission:
    """How many jobs of a queue may wait (0 = any number), and which job types each queue has."""

    most_waiting: int = 0
    types: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def words(self, jobs: Iterable[NewJob]) -> tuple[Word, Word]:
        """Return what refusal() of the scripts reads about jobs to create."""
        queues = {job.queue: self.types.get(job.queue, (job.type,)) for job in jobs}
        return (self.most_waiting, ";".join(f"{queue}={','.join(types)}" for queue, types in queues.items()))

    def check(self, answer: Sequence[Any]) -> None:
        """Raise QueueDrainingError, QueueFullError or MemoryShortError if the script's answer is a refusal."""
        if answer[0] != b"refused":
            return
        _, reason, queue, number = answer
        if reason == b"draining":
            raise QueueDrainingError(f"queue {queue.decode()} is being drained: it takes no job until it is resumed")
        if reason == b"memory":
            raise MemoryShortError
        raise QueueFullError(
            f"{number} jobs wait in queue {queue.decode()}; with these it would be more than the {self.most_waiting} "
            "that may: try again later, or send fewer"
        )
