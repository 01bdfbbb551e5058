"""The `hls` job type: a video becomes an HLS stream in several qualities."""

import importlib
from datetime import timedelta

from workers._hls_models import HlsPayload, HlsResult
from workplatform.context import JobContext
from workplatform.registry import job_type


@job_type(
    "hls", queue="hls", concurrency=1, priority=3, time_limit=timedelta(hours=6), preload=("workers._hls_making",)
)
def hls(payload: HlsPayload, job: JobContext) -> HlsResult:
    """Convert a video to HLS in several qualities, decoding it once."""
    made: HlsResult = importlib.import_module("workers._hls_making").make_stream(payload, job)
    return made
