"""The board of queues: which are served, which are paused, and what stands in them."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

from redis import Redis

from workplatform.states import Status, WaitingReason
from workplatform.store.connection import Connector, Scripts
from workplatform.store.keys import PRIORITIES, Keys
from workplatform.store.records import QueueStates

_PER_READ: Final = 500
_OVER_A_LIMIT: Final = frozenset(
    reason.encode() for reason in (WaitingReason.CONCURRENCY_LIMIT, WaitingReason.RATE_LIMIT)
)


class QueueBoard:
    """How the queues stand. Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, connector: Connector, scripts: Scripts, keys: Keys) -> None:
        self._connector = connector
        self._scripts = scripts
        self._keys = keys

    def states(self) -> QueueStates:
        """Return which queues are served, paused and draining."""
        return queue_states(self._scripts("queues"))

    def pause(self, queue: str, *, is_paused: bool) -> None:
        """Pause a queue, so that none of its jobs is claimed, or resume it."""
        self._scripts("pause", queue, "pause" if is_paused else "resume")

    def drain(self, queue: str) -> None:
        """Let a queue take no more jobs in; resuming it ends that too."""
        self._scripts("pause", queue, "drain")

    def queued(self, queue: str, *, most: int) -> list[str]:
        """Return ids of a queue's queued jobs, the next ones first; those in backlogs come after the others, by key."""
        ids: list[str] = []
        for priority in PRIORITIES:
            if (left := most - len(ids)) > 0:
                ids += self._first(self._keys.queued(queue, priority), left)
            if (left := most - len(ids)) > 0:
                ids += self._in_backlogs(queue, priority, left)
        return ids

    def parked(self, types: Iterable[str], *, most: int) -> list[str]:
        """Return ids of jobs of some types that wait for a limit, oldest first by type."""
        ids: list[str] = []
        for job_type in types:
            last = "-"
            while len(ids) < most and (found := self._waiting(job_type, last)):
                reasons = self._connector.read(partial(self._reasons, job_ids=found))
                ids += [job_id for job_id, reason in zip(found, reasons, strict=True) if reason in _OVER_A_LIMIT]
                last = f"({found[-1]}"
        return ids[:most]

    def _waiting(self, job_type: str, last: str) -> list[str]:
        """Return the next ids of a type's waiting jobs."""
        key = self._keys.in_status(job_type, Status.WAITING)
        found = self._connector.read(lambda client: client.zrangebylex(key, last, "+", 0, _PER_READ))
        return [job_id.decode() for job_id in found]

    def _reasons(self, client: Redis, job_ids: Sequence[str]) -> list[bytes | None]:
        pipeline = client.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.hget(self._keys.job(job_id), "reason")
        return list(pipeline.execute())

    def _first(self, key: str, number: int) -> list[str]:
        found = self._connector.read(lambda client: client.zrange(key, 0, number - 1))
        return [job_id.decode() for job_id in found]

    def _in_backlogs(self, queue: str, priority: int, number: int) -> list[str]:
        """Return ids of jobs whose turn has not come."""
        keys = self._connector.read(lambda client: client.hkeys(self._keys.standing(queue, priority)))
        ids: list[str] = []
        for by in sorted(keys):
            if (left := number - len(ids)) > 0:
                ids += self._first(self._keys.behind(queue, priority, by.decode()), left)
        return ids


def queue_states(answer: Sequence[Sequence[bytes]]) -> QueueStates:
    """Read what queues.lua returns."""
    serving, paused, draining = answer
    return QueueStates(
        served=frozenset(member.decode().split("/", 1)[0] for member in serving),
        paused=frozenset(queue.decode() for queue in paused),
        draining=frozenset(queue.decode() for queue in draining),
    )
