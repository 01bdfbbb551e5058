"""The job type `preview`: a short silent clip of a video, from where something is to be seen."""

import importlib
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from workers._names import extension
from workplatform.context import JobContext, Source
from workplatform.models import Payload, Result, WireModel
from workplatform.registry import job_type

ClipFormat = Literal["mp4", "webp", "gif"]
_FORMATS: Final[dict[str, ClipFormat]] = {".mp4": "mp4", ".webp": "webp", ".gif": "gif"}
_SHORTEST_CUT_S: Final = 1
# Looking for the cuts is about a third of the work of a small clip.
_SHARES: Final = {"looking": (0.0, 35.0), "encoding": (35.0, 99.0)}


class PreviewPayload(Payload):
    """Of which video, how long and how large, and where to."""

    video_path: str = Field(
        min_length=1,
        description="The video: a path, a URL or s3://bucket/key. Of a remote one only the parts needed are fetched",
        examples=["videos/film.mp4"],
    )
    output_path: str = Field(
        min_length=1,
        description="Where the clip goes; .mp4 (H.264), .webp or .gif choose its format",
        examples=["previews/film.mp4"],
    )
    duration: float = Field(
        default=4,
        ge=1,
        le=60,
        description="Seconds of the clip; a video that is not longer is taken whole",
        examples=[4],
    )
    width: int = Field(
        default=320,
        ge=16,
        le=1920,
        description="Most pixels of width, for mp4 an even number; the height follows. A smaller video is not enlarged",
        examples=[320],
    )
    cuts: int = Field(
        default=1,
        ge=1,
        le=20,
        description="Parts of the video, spread over it, that the clip consists of; each has 1 s at least",
        examples=[3],
    )

    @property
    def format(self) -> ClipFormat:
        """The format that the output's extension names."""
        return _FORMATS[extension(self.output_path)]

    @field_validator("output_path")
    @classmethod
    def _check_extension(cls, value: str) -> str:
        if extension(value) not in _FORMATS:
            raise ValueError(f"{value!r} must end in {', '.join(_FORMATS)}")
        return value

    @model_validator(mode="after")
    def _check_cuts(self) -> "PreviewPayload":
        if self.duration / self.cuts < _SHORTEST_CUT_S:
            raise ValueError(
                f"{self.cuts} cuts in a duration of {self.duration:g} s would be shorter than {_SHORTEST_CUT_S} s: "
                f"give at most {int(self.duration)} cuts"
            )
        return self


class PreviewCut(WireModel):
    """A part of the video."""

    start: float = Field(description="Seconds from the start of the video", examples=[312.5])
    end: float = Field(description="Seconds from the start of the video", examples=[316.5])


class PreviewResult(Result):
    """The clip, and what it shows."""

    output_path: str = Field(description="The clip", examples=["previews/film.mp4"])
    size: int = Field(description="Bytes", examples=[184_320])
    duration: float = Field(
        description="Seconds of the clip; a WebP in which nothing moves is a still picture", examples=[4.0]
    )
    width: int = Field(description="Pixels", examples=[320])
    height: int = Field(description="Pixels", examples=[180])
    cuts: list[PreviewCut] = Field(description="The parts of the video that it shows, in order")


# It shares the queue of storyboards, and so the worker process: see there.
@job_type(
    "preview",
    queue="preview",
    concurrency=2,
    priority=2,
    time_limit=timedelta(minutes=30),
    preload=("workers._previews",),
)
def preview(payload: PreviewPayload, job: JobContext) -> PreviewResult:
    """Make a short silent clip of a video's telling parts."""
    source = job.source(payload.video_path)
    output = job.output(payload.output_path)
    stages: list[str] = []

    def tell(step: Any) -> None:
        if stages != [step.stage]:
            stages[:] = [step.stage]
            job.stage(step.stage)
        first, last = _SHARES[step.stage]
        job.progress(first + (last - first) * step.share, f"{step.stage}, {step.share:.0%}")

    made = job.follow(_make, tell, source, output.path, payload)
    job.progress(100, f"{made.duration_s:g} s, {made.width}x{made.height}")
    return PreviewResult(
        output_path=output.uri,
        size=made.size,
        duration=made.duration_s,
        width=made.width,
        height=made.height,
        cuts=[PreviewCut(start=start, end=end) for start, end in made.cuts],
    )


def _make(source: Source, target: Path, payload: PreviewPayload) -> Generator[Any, None, Any]:
    """Run in the child: PyAV and its codecs (20 MB) are loaded there, and never in workers, scheduler or API."""
    made: Generator[Any, None, Any] = importlib.import_module("workers._previews").make_preview(source, target, payload)
    return made
