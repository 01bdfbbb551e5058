"""A batch of downloads in one job: records side by side, each made visible or dropped by itself."""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

from workers._download_models import DownloadPayload, DownloadRecord, DownloadResult, RecordResult
from workers._download_one import File, fetch
from workers._pace import Pace, amount
from workers._patience import pause
from workers._transfer import Arrived
from workplatform.context import JobContext, Output
from workplatform.errors import Cancelled, JobError

_SIDE_BY_SIDE: Final = 4
_TRIES: Final = 3
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 30.0
_REPORT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Running:
    """A record on its way."""

    number: int
    output: Output
    pace: Pace


class _Follower:
    """Follows a transfer in a thread of its own: it only passes on that all have to stop."""

    def __init__(self, job: JobContext, is_over: threading.Event) -> None:
        self._job = job
        self._is_over = is_over

    def check(self) -> None:
        """Raise the reason to stop, if there is one."""
        self._job.check_cancelled()
        if self._is_over.is_set():
            raise Cancelled

    def stage(self, name: str) -> None:
        """Leave the stage to the batch."""

    def moved(self) -> None:
        """Stop where the session's waits give no occasion to."""
        self.check()


class Batch:
    """The records of one job. Transfers run in threads; all that the job is told, it is told from its own."""

    def __init__(self, job: JobContext, payload: DownloadPayload, records: Sequence[DownloadRecord]) -> None:
        self._job = job
        self._payload = payload
        self._records = records
        self._results: dict[int, RecordResult] = {}
        self._running: dict[Future[Arrived], _Running] = {}
        self._bytes = 0
        self._is_over = threading.Event()

    def run(self) -> DownloadResult:
        """Fetch every record; one that fails does not fail the others."""
        self._job.stage("downloading")
        waiting = deque(range(len(self._records)))
        with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="download") as pool:
            try:
                while waiting or self._running:
                    while waiting and len(self._running) < _SIDE_BY_SIDE:
                        self._start(pool, waiting.popleft())
                    ended, _ = wait(self._running, _REPORT_S, FIRST_COMPLETED)
                    self._job.check_cancelled()
                    for future in ended:
                        self._settle(future)
                    self._report()
            finally:
                self._is_over.set()
        results = tuple(self._results[number] for number in range(len(self._records)))
        arrived = sum(result.success for result in results)
        return DownloadResult(success=arrived, total=len(results), failed=len(results) - arrived, results=results)

    def _start(self, pool: ThreadPoolExecutor, number: int) -> None:
        record = self._records[number]
        try:
            output = self._job.output(f"{(self._payload.data_dir or '').rstrip('/')}/{record.backup_path}", resume=True)
        except JobError as error:
            self._job.check_cancelled()
            self._fail(number, error)
            return
        file = File(record.file_url, record.page_url or self._payload.page, None, self._payload)
        pace = file.pace()
        future = pool.submit(self._fetch, file, pace, output)
        self._running[future] = _Running(number, output, pace)

    def _fetch(self, file: File, pace: Pace, output: Output) -> Arrived:
        """Fetch one file, in a thread; a failure that may pass is tried again."""
        follower = _Follower(self._job, self._is_over)
        for tried in range(1, _TRIES):
            try:
                return fetch(self._job, file, pace=pace, observer=follower, place=output)
            except JobError as error:
                follower.check()
                asked_s = error.data.get("delay_s")
                wait_s = _FIRST_WAIT_S * 2 ** (tried - 1) if asked_s is None else float(asked_s)
                if not error.retryable or wait_s > _LONGEST_WAIT_S:
                    raise
                pause(wait_s, follower.check)
        return fetch(self._job, file, pace=pace, observer=follower, place=output)

    def _settle(self, future: Future[Arrived]) -> None:
        """Make a file visible, or forget it."""
        running = self._running.pop(future)
        try:
            arrived = future.result()
            self._job.publish(running.output)
        except JobError as error:
            self._job.check_cancelled()
            self._job.drop(running.output)
            self._fail(running.number, error)
            return
        self._bytes += arrived.size
        record_id = self._records[running.number].id
        self._results[running.number] = RecordResult(id=record_id, success=True, size=arrived.size)

    def _fail(self, number: int, error: JobError) -> None:
        record_id = self._records[number].id
        self._job.log(f"record {record_id}: {error.message}")
        self._results[number] = RecordResult(id=record_id, success=False, error=error.message, error_code=error.code)

    def _report(self) -> None:
        total, ended = len(self._records), len(self._results)
        paces = [running.pace for running in self._running.values()]
        percent = (100 * ended + sum(pace.percent for pace in paces)) / total
        failed = sum(not result.success for result in self._results.values())
        told = f"{ended} of {total} files, {amount(self._bytes + sum(pace.have for pace in paces))}"
        if speed := sum(pace.per_second for pace in paces):
            told += f", {amount(speed)}/s"
        self._job.progress(percent, told + (f"; {failed} failed" if failed else ""))
