"""The `encode` job type: a video is written anew as one file, smaller, shorter or for other players."""

import importlib
from datetime import timedelta

from workers._encode_models import EncodePayload, EncodeResult
from workplatform.context import JobContext
from workplatform.registry import job_type


@job_type(
    "encode",
    queue="encode",
    concurrency=1,
    priority=3,
    time_limit=timedelta(hours=12),
    preload=("workers._encode_making",),
)
def encode(payload: EncodePayload, job: JobContext) -> EncodeResult:
    """Encode a video into one file: by quality, by size or by what the eye sees."""
    made: EncodeResult = importlib.import_module("workers._encode_making").encode_film(payload, job)
    return made
