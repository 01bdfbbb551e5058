"""The job type `webp`: a picture or an animation as WebP."""

import importlib
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from workers._names import extension
from workplatform.context import JobContext
from workplatform.models import Payload, Result
from workplatform.registry import job_type


class WebpPayload(Payload):
    """Which picture, how good, how large, and where to."""

    input_path: str = Field(
        min_length=1,
        description="The picture or animation: JPEG, PNG, GIF, WebP, AVIF, TIFF, BMP, JPEG 2000, ...",
        examples=["images/photo.jpg"],
    )
    output_path: str = Field(
        min_length=1, description="Where the WebP goes; ends in .webp", examples=["images/photo.webp"]
    )
    quality: int = Field(
        default=80,
        ge=0,
        le=100,
        description="0 (small) to 100 (good); with lossless, how hard to compress",
        examples=[80],
    )
    lossless: bool = Field(default=False, description="Keep every pixel as it is", examples=[False])
    width: int | None = Field(
        default=None,
        ge=1,
        le=16383,
        description="Largest width in pixels; proportions are kept, nothing is enlarged",
        examples=[1600],
    )
    height: int | None = Field(
        default=None,
        ge=1,
        le=16383,
        description="Largest height in pixels; with width, the box to fit into",
        examples=[1200],
    )
    effort: Literal["fast", "balanced", "best"] = Field(
        default="balanced",
        description="fast: twice the speed for some 4 % more bytes; best: slower and a little smaller",
        examples=["balanced"],
    )

    @field_validator("output_path")
    @classmethod
    def _check_extension(cls, value: str) -> str:
        if extension(value) != ".webp":
            raise ValueError(f"{value!r} must end in .webp")
        return value


class WebpResult(Result):
    """The WebP, and what it saves."""

    output_path: str = Field(description="The WebP", examples=["images/photo.webp"])
    size: int = Field(description="Bytes", examples=[145992])
    width: int = Field(description="Pixels", examples=[1600])
    height: int = Field(description="Pixels", examples=[1200])
    format: Literal["webp"] = Field(default="webp", description="Always webp", examples=["webp"])
    frames: int = Field(description="Frames of an animation, 1 for a still", examples=[1])
    saved_bytes: int = Field(
        description="Bytes of the input less those of the WebP; negative if it grew", examples=[3200000]
    )


@job_type("webp", queue="webp", concurrency=3, priority=1, time_limit=timedelta(minutes=5), preload=("workers._webp",))
def webp(payload: WebpPayload, job: JobContext) -> WebpResult:
    """Convert a picture to WebP."""
    source = job.input(payload.input_path)
    output = job.output(payload.output_path)
    job.stage("converting")
    job.progress(10)
    made = job.isolated(_make, source, output.path, payload)
    job.progress(100, f"{made.width}x{made.height}, {made.size} bytes, {made.saved_bytes} saved")
    return WebpResult(
        output_path=output.uri,
        size=made.size,
        width=made.width,
        height=made.height,
        frames=made.frames,
        saved_bytes=made.saved_bytes,
    )


def _make(source: Path, target: Path, payload: WebpPayload) -> Any:
    """Run in the child: Pillow is loaded there, and never in workers, scheduler or API."""
    return importlib.import_module("workers._webp").make_webp(source, target, payload)
