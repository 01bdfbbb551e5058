"""A job type that holds its worker in the first attempt, for the bench of recovery."""

import time

from pydantic import Field

from workplatform.context import JobContext
from workplatform.models import Payload, Result
from workplatform.registry import job_type


class Hold(Payload):
    """Whether the first attempt ends at all."""

    ends: bool = Field(True, description="End at once")


class Held(Result):
    """It is over."""

    attempt: int = Field(description="Which attempt it was")


@job_type("hold", queue="hold", concurrency=1)
def hold(payload: Hold, job: JobContext) -> Held:
    """End at once, or hold on for as long as this worker lives."""
    while not payload.ends and job.attempt == 1:
        job.check_cancelled()
        time.sleep(0.02)
    return Held(attempt=job.attempt)
