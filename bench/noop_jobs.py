"""A job type that does nothing, for the benches of the engine."""

import os
import time

import redis
from pydantic import Field

from workplatform.context import JobContext
from workplatform.models import Payload, Result
from workplatform.registry import job_type


class Noop(Payload):
    """What to do besides nothing."""

    tell: bool = Field(False, description="Tell when the handler began")
    note: str = Field("", description="Anything")


class Done(Result):
    """Nothing was done."""


@job_type("noop", queue="noop", concurrency=4)
def noop(payload: Noop, job: JobContext) -> Done:  # noqa: ARG001
    """Do nothing, or tell when it began."""
    if payload.tell:
        began = time.time()
        redis.Redis.from_url(os.environ["BENCH_REDIS"]).lpush("ours-started", repr(began))
    return Done()
