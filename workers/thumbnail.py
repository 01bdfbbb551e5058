"""The job type `thumbnail`: one frame of a video as a picture."""

import importlib
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from workers._moments import parse_moment
from workers._names import extension
from workplatform.context import JobContext, Source
from workplatform.models import Payload, Result
from workplatform.registry import job_type

_FORMATS: dict[str, Literal["webp", "jpg", "png", "avif"]] = {
    ".webp": "webp",
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".png": "png",
    ".avif": "avif",
}


class ThumbnailPayload(Payload):
    """Which frame of which video, how large, and where to."""

    video_path: str = Field(
        min_length=1,
        description="The video: a path, a URL or s3://bucket/key. Of a remote one only the parts needed are fetched",
        examples=["videos/abc.mp4"],
    )
    output_path: str = Field(
        min_length=1,
        description="Where the picture goes; .webp, .jpg, .png or .avif choose its format",
        examples=["thumbnails/abc.webp"],
    )
    timestamp: str = Field(
        default="00:00:01",
        description="When, from the start of the video: a clock time, seconds (also as a number) or a share of its "
        "duration. The frame shown at that time is taken; past the end it is the last one",
        examples=["00:00:01", "12.5", "50%"],
    )
    width: int | None = Field(
        default=None,
        ge=1,
        le=8192,
        description="Width in pixels; with height, the box to fit into. Without either at most 320, never enlarged",
        examples=[320],
    )
    height: int | None = Field(
        default=None,
        ge=1,
        le=8192,
        description="Height in pixels; the proportions of the video are kept",
        examples=[180],
    )
    quality: int = Field(default=80, ge=1, le=100, description="1 (small) to 100 (good); png ignores it", examples=[80])
    accuracy: Literal["exact", "keyframe"] = Field(
        default="exact",
        description="exact: that very frame; keyframe: the last keyframe up to it, several times faster",
        examples=["exact"],
    )

    @property
    def format(self) -> Literal["webp", "jpg", "png", "avif"]:
        """The picture format that the output's extension names."""
        return _FORMATS[extension(self.output_path)]

    @field_validator("timestamp", mode="before")
    @classmethod
    def _read_number(cls, value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return f"{value:.9f}".rstrip("0").rstrip(".") if is_number else value

    @field_validator("timestamp")
    @classmethod
    def _check_timestamp(cls, value: str) -> str:
        parse_moment(value)
        return value

    @field_validator("output_path")
    @classmethod
    def _check_extension(cls, value: str) -> str:
        if extension(value) not in _FORMATS:
            raise ValueError(f"{value!r} must end in {', '.join(_FORMATS)}")
        return value


class ThumbnailResult(Result):
    """The picture, and the time of the frame that it shows."""

    output_path: str = Field(description="The picture", examples=["thumbnails/abc.webp"])
    size: int = Field(description="Bytes", examples=[12345])
    width: int = Field(description="Pixels", examples=[320])
    height: int = Field(description="Pixels", examples=[180])
    format: Literal["webp", "jpg", "png", "avif"] = Field(description="Of the picture", examples=["webp"])
    timestamp: float = Field(description="Seconds from the start to the frame that was taken", examples=[1.0])
    clamped: bool = Field(
        description="Whether the timestamp was past the end, so that the last frame was taken", examples=[False]
    )


@job_type(
    "thumbnail",
    queue="thumbnail",
    concurrency=3,
    priority=1,
    time_limit=timedelta(minutes=5),
    preload=("workers._thumbnails",),
)
def thumbnail(payload: ThumbnailPayload, job: JobContext) -> ThumbnailResult:
    """Take a picture from a video."""
    source = job.source(payload.video_path)
    output = job.output(payload.output_path)
    job.stage("decoding")
    job.progress(10)
    made = job.isolated(_make, source, output.path, payload)
    message = f"frame at {made.time_s:g} s, {made.width}x{made.height}"
    if made.is_past_end:
        message = f"{payload.timestamp} is past the end; took the last frame, at {made.time_s:g} s"
        job.log(message)
    job.progress(100, message)
    return ThumbnailResult(
        output_path=output.uri,
        size=made.size,
        width=made.width,
        height=made.height,
        format=payload.format,
        timestamp=made.time_s,
        clamped=made.is_past_end,
    )


def _make(source: Source, target: Path, payload: ThumbnailPayload) -> Any:
    """Run in the child: PyAV and its codecs (20 MB) are loaded there, and never in workers, scheduler or API."""
    return importlib.import_module("workers._thumbnails").make_thumbnail(source, target, payload)
