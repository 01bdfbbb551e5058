"""The book of deliveries: what receivers were told about a job, and what they answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from workplatform.errors import IllegalTransitionError, JobNotFoundError
from workplatform.store.connection import Scripts
from workplatform.store.record_parsing import parse_record
from workplatform.store.records import Grant, NewJob, Record, moment
from workplatform.store.words import in_pairs, job_words


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One attempt of a delivery: when it began, and what the handler has found."""

    at: datetime
    found: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery: its job, the event that it tells, and its attempts as far as they have left word, oldest first."""

    record: Record
    event: str
    attempts: Sequence[DeliveryAttempt]


class DeliveryBook:
    """The deliveries. Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def tell(self, grant: Grant, event: str, delivery: NewJob) -> bool:
        """Store a delivery that tells of a running attempt; False if the attempt has ended."""
        return bool(self._scripts("tell", grant.id, grant.fence, event, *job_words([delivery])))

    def about(self, job_id: str) -> list[Delivery]:
        """Return what was, and will be, told about a job, oldest first; raises JobNotFoundError."""
        answer = self._scripts("deliveries", job_id)
        if answer is None:
            raise JobNotFoundError(f"there is no job {job_id}")
        return [_delivery(delivery_id.decode(), in_pairs(fields), lines) for delivery_id, fields, lines in answer]

    def resend(self, job_id: str, delivery_id: str, message: bytes) -> None:
        """Queue a delivery about a job again; raises JobNotFoundError, or IllegalTransitionError if it is queued."""
        match self._scripts("resend", job_id, delivery_id, message):
            case [b"unknown"]:
                raise JobNotFoundError(f"job {job_id} has no delivery {delivery_id}")
            case [b"refused", status]:
                raise IllegalTransitionError(f"the delivery is about to be made: it is {status.decode()}")


def _delivery(delivery_id: str, fields: Mapping[str, bytes], lines: Sequence[bytes]) -> Delivery:
    attempts = (line.split(b" ", 1) for line in lines)
    return Delivery(
        record=parse_record(delivery_id, fields),
        event=fields["tells"].decode(),
        attempts=[DeliveryAttempt(moment(began), orjson.loads(found)) for began, found in attempts],
    )
