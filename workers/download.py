"""The job type `download`: files from the web, whatever becomes of connections, workers and origins meanwhile."""

from datetime import timedelta

from workers._download_batch import Batch
from workers._download_models import DownloadPayload, DownloadResult
from workers._download_one import File, fetch
from workers._pace import Pace, amount
from workplatform.context import JobContext, Output
from workplatform.registry import job_type


@job_type("download", queue="download", concurrency=5, priority=2, time_limit=timedelta(hours=6))
def download(payload: DownloadPayload, job: JobContext) -> DownloadResult:
    """Download a file, or a batch of them.

    A broken connection is resumed, and so is what an attempt before has left. A refusal (401, 403, 404, 410, ...), a
    web page in the place of a file, and a file that is too large are final; what may pass is tried again, after
    Retry-After where the host asks for that.
    """
    if payload.records is not None:
        return Batch(job, payload, payload.records).run()
    return _single(payload, job)


def _single(payload: DownloadPayload, job: JobContext) -> DownloadResult:
    file = File(payload.url or payload.file_url or "", payload.page, payload.referer, payload)
    uri = payload.output_path or payload.dest_path or ""
    pace = file.pace()
    place = _Folder(job, uri).place if job.is_folder(uri) else job.output(uri, resume=True)
    arrived = fetch(job, file, pace=pace, observer=_Teller(job, pace), place=place)
    job.progress(100, f"{amount(arrived.size)}, {arrived.kind}")
    return DownloadResult(
        output_path=arrived.output.uri,
        path=arrived.output.uri,
        size=arrived.size,
        content_type=arrived.kind,
        resumed_bytes=arrived.resumed,
    )


class _Folder:
    """A folder to download into: the file in it is planned when the server has told its name."""

    def __init__(self, job: JobContext, uri: str) -> None:
        self._job = job
        self._uri = uri
        self._output: Output | None = None

    def place(self, name: str) -> Output:
        """Plan the file; it replaces one that was planned for an answer of no use."""
        if self._output is not None:
            self._job.drop(self._output)
        self._output = self._job.output(f"{self._uri.rstrip('/')}/{name}", resume=True)
        return self._output


class _Teller:
    """Tells the job's stage and progress from a transfer in the job's own thread."""

    def __init__(self, job: JobContext, pace: Pace) -> None:
        self._job = job
        self._pace = pace

    def check(self) -> None:
        """Raise the reason to stop, if there is one."""
        self._job.check_cancelled()

    def stage(self, name: str) -> None:
        """Tell the stage."""
        self._job.stage(name)

    def moved(self) -> None:
        """Tell how far it is."""
        self._job.check_cancelled()
        self._job.progress(self._pace.percent, self._pace.sentence())
