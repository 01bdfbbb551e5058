"""Job types for tests that need a job of a known length or ending: JOB_PACKAGES=tests.nap_jobs."""

import time
from datetime import timedelta

from pydantic import Field

from workplatform.context import JobContext
from workplatform.errors import BadInputError
from workplatform.models import Payload, Result
from workplatform.registry import job_type


class NapPayload(Payload):
    """How long to do nothing, and how to end."""

    seconds: float = Field(default=0.0, ge=0, description="Length of the nap")
    fails: bool = Field(default=False, description="Whether the job fails after it")


class NapResult(Result):
    """What the nap was."""

    slept: float = Field(description="Seconds slept")


@job_type("nap", queue="nap", concurrency=2, time_limit=timedelta(minutes=5))
def nap(payload: NapPayload, job: JobContext) -> NapResult:
    """Do nothing for a while, with progress."""
    job.stage("sleeping")
    job.log("lying down")
    start = time.monotonic()
    while (slept := time.monotonic() - start) < payload.seconds:
        job.check_cancelled()
        job.progress(100 * slept / payload.seconds, f"{payload.seconds - slept:.1f} s left")
        time.sleep(0.02)
    job.log("getting up")
    if payload.fails:
        raise BadInputError("the bed is broken")
    return NapResult(slept=payload.seconds)
