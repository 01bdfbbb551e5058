"""Deliveries: what receivers were told about a job, shown, and sent again on request."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from workplatform.states import Status
from workplatform.store.deliveries import Delivery, DeliveryAttempt
from workplatform.store.jobs import JobStore
from workplatform.submission import Submitter
from workplatform.wire import timestamp


class DeliveryService:
    """The use cases. Every method may raise StoreUnavailableError."""

    def __init__(self, store: JobStore, submitter: Submitter) -> None:
        self._store = store
        self._submitter = submitter

    def about(self, job_id: str) -> list[dict[str, Any]]:
        """Return the deliveries about a job as documents, oldest first; raises JobNotFoundError."""
        return [_document(delivery) for delivery in self._store.deliveries.about(job_id)]

    def resend(self, job_id: str, delivery_id: str) -> Status:
        """Have a delivery made again, at once, with its id and a new timestamp.

        Raises JobNotFoundError, or IllegalTransitionError while it is queued or under way.
        """
        message = self._submitter.wakeup(self._store.get(delivery_id))
        self._store.deliveries.resend(job_id, delivery_id, message)
        return Status.QUEUED


def _document(delivery: Delivery) -> dict[str, Any]:
    record = delivery.record
    return {
        "deliveryId": record.id,
        "event": delivery.event,
        "url": _without_query(record.spec["payload"]["url"]),
        "status": record.status,
        "waitingReason": record.reason,
        "createdAt": timestamp(record.created_at),
        "runAt": timestamp(record.due_at),
        "attempts": [_attempt(attempt) for attempt in delivery.attempts],
    }


def _attempt(attempt: DeliveryAttempt) -> dict[str, Any]:
    """Render an attempt; without an answer there is an error."""
    names = ("statusCode", "latency", "answer", "error")
    return {"at": timestamp(attempt.at)} | {name: attempt.found.get(name) for name in names}


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
