"""Group commit: submissions that arrive together are written to the store together."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import gevent
from gevent.event import AsyncResult

from workplatform.refusals import AdmissionError
from workplatform.service import JobService
from workplatform.store.records import Created, NewJob

_COMMITTERS: Final = 2
_GROUP: Final = 150  # jobs of about a kilobyte: what a socket takes at once, so that no call waits half sent


@dataclass(slots=True)
class _Waiting:
    """The jobs of one request, and where its greenlet waits for what the store says of them."""

    jobs: Sequence[NewJob]
    created: AsyncResult = field(default_factory=AsyncResult)


class GroupCommit:
    """Writes the jobs of many requests in one script call.

    While calls are on their way to Redis the next requests gather, so the busier the API, the fewer calls a job. Two
    calls at a time keep Redis busy while this process reads the answer to one and prepares the next. A request's jobs
    are always in one call, all or nothing. For the greenlets of one thread.
    """

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._gathered: deque[_Waiting] = deque()
        self._committers = 0

    def create(self, jobs: Sequence[NewJob]) -> Created:
        """Store at most JOBS_PER_CALL jobs; what is returned may tell of other requests' jobs too.

        Raises AdmissionError, or StoreUnavailableError; nobody knows then whether they were stored.
        """
        waiting = _Waiting(jobs)
        self._gathered.append(waiting)
        if self._committers < _COMMITTERS:
            self._committers += 1
            gevent.spawn(self._run)
        created: Created = waiting.created.get()
        return created

    def _run(self) -> None:
        try:
            while self._gathered:
                self._commit(self._next_group())
        finally:
            self._committers -= 1

    def _next_group(self) -> list[_Waiting]:
        group = [self._gathered.popleft()]
        size = len(group[0].jobs)
        while self._gathered and size + len(self._gathered[0].jobs) <= _GROUP:
            group.append(self._gathered.popleft())
            size += len(group[-1].jobs)
        return group

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            created = self._service.create([job for waiting in group for job in waiting.jobs])
        except AdmissionError as error:
            if len(group) == 1:
                group[0].created.set_exception(error)
                return
            for waiting in group:  # that one's jobs are refused is no reason to refuse the others'
                self._commit([waiting])
        except Exception as error:  # noqa: BLE001 - each request answers it, and logs what nobody foresaw
            for waiting in group:
                waiting.created.set_exception(error)
        else:
            for waiting in group:
                waiting.created.set(created)
