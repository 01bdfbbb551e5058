"""A job type that makes a file of a file: JOB_PACKAGES=tests.copy_jobs."""

import shutil

from pydantic import Field

from workplatform.context import JobContext
from workplatform.errors import BadInputError
from workplatform.models import Payload, Result
from workplatform.registry import job_type


class CopyPayload(Payload):
    """What to copy, and where to."""

    input_path: str = Field(description="The file", examples=["in/file.bin"])
    output_path: str = Field(description="The copy", examples=["out/file.bin"])


class CopyResult(Result):
    """What was copied."""

    size: int = Field(description="Bytes", examples=[3])


@job_type("copy", queue="copy", concurrency=2)
def copy(payload: CopyPayload, job: JobContext) -> CopyResult:
    """Copy a file."""
    source = job.input(payload.input_path)
    if source.read_bytes()[:4] == b"fail":
        raise BadInputError("told to fail")
    output = job.output(payload.output_path)
    shutil.copyfile(source, output.path)
    return CopyResult(size=source.stat().st_size)
