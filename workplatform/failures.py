"""What may be asked of failures: to search the failed jobs, and to show which errors are alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workplatform.service import JobService
from workplatform.store.failures import ErrorGroup, FailureFilter, FailureIndex, Order, Place
from workplatform.wire import timestamp

_TOP = Place()


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed jobs as documents, how many match (None: nobody knows), and where the next page starts."""

    jobs: Sequence[dict[str, Any]]
    total: int | None
    following: Place | None


class FailureService:
    """The use cases. Every method may raise StoreUnavailableError."""

    def __init__(self, service: JobService, index: FailureIndex) -> None:
        self._service = service
        self._index = index

    def search(self, wanted: FailureFilter, *, limit: int, below: Place = _TOP) -> Failures:
        """Return failed jobs that match, the latest end first."""
        page = self._index.page(wanted, limit=limit, below=below)
        return Failures(self._service.documents(page.records), page.total, page.following)

    def errors(
        self, *, job_type: str = "", order: Order = "lastSeen", limit: int, below: Place = _TOP
    ) -> tuple[list[dict[str, Any]], Place | None]:
        """Return groups of errors that are alike, and where the next ones start."""
        groups, following = self._index.groups(job_type=job_type, order=order, limit=limit, below=below)
        return [_document(group) for group in groups], following

    def error(self, fingerprint: str) -> dict[str, Any]:
        """Return one group as a document; raises ErrorNotFoundError."""
        return _document(self._index.group(fingerprint))


def _document(group: ErrorGroup) -> dict[str, Any]:
    return {
        "fingerprint": group.fingerprint,
        "type": group.job_type,
        "code": group.code,
        "message": group.message,
        "count": group.count,
        "failed": group.failed,
        "firstSeen": timestamp(group.first_seen),
        "lastSeen": timestamp(group.last_seen),
        "jobIds": list(group.latest),
    }
