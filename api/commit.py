"""Group commit: submissions that arrive together are written to the store together."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import gevent
from gevent.event import AsyncResult, Event

from workplatform.service import JobService
from workplatform.store.jobs import JOBS_PER_CALL
from workplatform.store.records import NewJob


@dataclass(slots=True)
class _Waiting:
    """The jobs of one request, and where its greenlet waits for the moment of their creation."""

    jobs: Sequence[NewJob]
    moment_ms: AsyncResult = field(default_factory=AsyncResult)


class GroupCommit:
    """Writes the jobs of many requests in one script call.

    While one call is on its way to Redis the next requests gather, so the busier the API, the fewer calls a job. A
    request's jobs are always in one call, all or nothing. For the greenlets of one thread.
    """

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._gathered: deque[_Waiting] = deque()
        self._something = Event()
        self._committer: gevent.Greenlet | None = None

    def create(self, jobs: Sequence[NewJob]) -> int:
        """Store at most JOBS_PER_CALL jobs and return the moment in ms of Unix time.

        Raises StoreUnavailableError; nobody knows then whether they were stored.
        """
        waiting = _Waiting(jobs)
        self._gathered.append(waiting)
        if self._committer is None or self._committer.dead:
            self._committer = gevent.spawn(self._run)
        self._something.set()
        return int(waiting.moment_ms.get())

    def _run(self) -> None:
        while True:
            self._something.wait()
            self._something.clear()
            while self._gathered:
                self._commit(self._next_group())

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._gathered and (not group or size + len(self._gathered[0].jobs) <= JOBS_PER_CALL):
            group.append(self._gathered.popleft())
            size += len(group[-1].jobs)
        return group

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            moment_ms = self._service.create([job for waiting in group for job in waiting.jobs])
        except Exception as error:  # noqa: BLE001 - each request answers it, and logs what nobody foresaw
            for waiting in group:
                waiting.moment_ms.set_exception(error)
        else:
            for waiting in group:
                waiting.moment_ms.set(moment_ms)
