"""The job type of a storm: it writes a file, notes each attempt, and ends as its payload says."""

import time
from pathlib import Path

from pydantic import Field

from workplatform.context import JobContext
from workplatform.errors import BadInputError
from workplatform.models import Payload, Result
from workplatform.registry import job_type
from workplatform.retry import RetryPolicy


class Page(Payload):
    """What to write."""

    path: str = Field(description="File to write")
    text: str = Field(description="What to write")
    seconds: float = Field(0.0, description="How long to take")
    fails: bool = Field(default=False, description="Whether the job fails in the end")


class Written(Result):
    """The page is written."""

    text: str = Field(description="What was written")


@job_type("scribble", queue="scribble", concurrency=4, retry=RetryPolicy(max_retries=50, initial_delay=50))
def scribble(payload: Page, job: JobContext) -> Written:
    """Write a page in two halves, with a program in between."""
    output = job.output(payload.path)
    half = len(payload.text) // 2
    output.path.write_text(payload.text[:half])
    job.progress(50, "half")
    ends = time.monotonic() + payload.seconds
    while time.monotonic() < ends:
        job.check_cancelled()
        time.sleep(0.01)
    job.run(["true"])
    with Path(output.path).open("a") as file:
        file.write(payload.text[half:])
    if payload.fails:
        raise BadInputError("the page cannot be written")
    return Written(text=payload.text)
