"""Following jobs to their end over HTTP: by the event stream, and by asking where that does not get through."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from workplatform.cli.client import ApiClient, ApiError, Document, UnreachableError
from workplatform.states import Event, Status

FINAL = {Status.COMPLETED.value, Status.FAILED.value, Status.CANCELLED.value}
_POLL_S = 0.5
_PATIENCE_S = 30.0


def follow(client: ApiClient, job_ids: Sequence[str]) -> Iterator[Document]:
    """Yield each change of the jobs, a job or an event, until all have ended; the last of each is the whole job.

    The API may go away for half a minute, as it does when it is restarted. Raises UnreachableError at once if it was
    not there to begin with, ApiError if a job does not exist.
    """
    following = _Following(client, job_ids)
    yield from following.snapshots()
    reached_at = time.monotonic()
    while following.open_ids:
        try:
            for change in following.turn():
                reached_at = time.monotonic()
                yield change
        except UnreachableError:
            if time.monotonic() - reached_at > _PATIENCE_S:
                raise
            time.sleep(_POLL_S)


class _Following:
    """The jobs that have not ended yet, and how to learn of them."""

    def __init__(self, client: ApiClient, job_ids: Sequence[str]) -> None:
        self._client = client
        self._streams = True
        self.open_ids = set(job_ids)

    def turn(self) -> Iterator[Document]:
        """Yield what one stream tells until it breaks; where streams tell nothing, ask once after a while."""
        if self._streams:
            self._streams = False
            with suppress(ApiError):  # a proxy that lets no stream through; what is wrong with a job, asking shows
                for change in self._streamed():
                    self._streams = True
                    yield change
        else:
            time.sleep(_POLL_S)
        yield from self.snapshots()

    def snapshots(self) -> Iterator[Document]:
        """Yield each job as it is."""
        for job_id in sorted(self.open_ids):
            yield self._seen(self._client.job(job_id))

    def _streamed(self) -> Iterator[Document]:
        only = {"jobId": next(iter(self.open_ids))} if len(self.open_ids) == 1 else {}
        with self._client.events(**only) as events:
            for job in list(self.snapshots()):  # what happened before the stream was open
                if job["status"] in FINAL:
                    yield job
            while self.open_ids and (event := next(events, None)) is not None:
                if event.get("jobId") not in self.open_ids or event.get("event") == Event.LOG:
                    continue
                is_over = event.get("status") in FINAL
                yield self._seen(self._client.job(event["jobId"])) if is_over else event

    def _seen(self, job: Document) -> Document:
        if job["status"] in FINAL:
            self.open_ids.discard(job["jobId"])
        return job
