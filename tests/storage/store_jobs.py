"""A job type for the tests of stores: it carries bytes from one place to another."""

import shutil
from datetime import timedelta

from pydantic import Field

from workplatform.context import JobContext
from workplatform.models import Payload, Result
from workplatform.registry import job_type
from workplatform.retry import RetryPolicy


class Cargo(Payload):
    """What goes where."""

    source: str = Field(description="From where")
    file: str = Field("", description="Where to, as one file")
    folder: str = Field("", description="Where to, as a folder of two")


class Carried(Result):
    """It is there."""

    size: int = Field(description="Bytes")


@job_type(
    "carry",
    queue="carry",
    concurrency=2,
    time_limit=timedelta(minutes=2),
    retry=RetryPolicy(max_retries=3, initial_delay=50),
)
def carry(payload: Cargo, job: JobContext) -> Carried:
    """Copy a file."""
    source = job.input(payload.source)
    if payload.file:
        shutil.copyfile(source, job.output(payload.file).path)
    if payload.folder:
        output = job.output(payload.folder, directory=True, last="last")
        shutil.copyfile(source, output.path / "first")
        output.finish("first")
        (output.path / "last").write_text("complete")
    job.progress(100, "carried")
    return Carried(size=source.stat().st_size)
