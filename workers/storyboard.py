"""The job type `storyboard`: small pictures of a whole video, for players to show while somebody scrubs."""

import importlib
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import Field, model_validator

from workers._sprites import CUES, MAX_SIDE, OWNED, SheetFormat
from workplatform.context import JobContext, Source
from workplatform.models import Payload, Result
from workplatform.registry import job_type

MOST_PICTURES: Final = 10_000


class StoryboardPayload(Payload):
    """Of which video, how many pictures of what size, and where to."""

    video_path: str = Field(
        min_length=1,
        description="The video: a path, a URL or s3://bucket/key. Of a remote one only the parts needed are fetched",
        examples=["videos/film.mp4"],
    )
    output_dir: str = Field(
        min_length=1,
        description=f"Folder that gets {CUES} and the sheets sprite_000.jpg, sprite_001.jpg, ...",
        examples=["storyboards/film"],
    )
    interval: float | None = Field(
        default=None,
        ge=0.1,
        le=86_400,
        description="Seconds that each picture stands for; it is the keyframe nearest to their middle. Without it and "
        "count: 10 in a film, less in a shorter video, 1 at least",
        examples=[10],
    )
    count: int | None = Field(
        default=None,
        ge=1,
        le=MOST_PICTURES,
        description="Number of pictures, instead of their interval; at most one for each 10 ms",
        examples=[100],
    )
    width: int = Field(
        default=160,
        ge=16,
        le=1280,
        description="Width of a picture in pixels; the height follows from the video",
        examples=[160],
    )
    columns: int = Field(
        default=10,
        ge=1,
        le=100,
        description="Pictures in a row; a sheet has at most 10 rows and 16 megapixels",
        examples=[10],
    )
    format: SheetFormat = Field(default="jpg", description="Of the sheets", examples=["jpg"])
    quality: int = Field(default=75, ge=1, le=100, description="1 (small) to 100 (good)", examples=[75])

    @model_validator(mode="after")
    def _check_together(self) -> "StoryboardPayload":
        if self.interval is not None and self.count is not None:
            raise ValueError("give interval or count, not both: one follows from the other")
        if self.width * self.columns > MAX_SIDE:
            raise ValueError(
                f"{self.columns} columns of width {self.width} make a sheet of {self.width * self.columns} pixels, "
                f"at most {MAX_SIDE} are possible: give fewer columns"
            )
        return self


class StoryboardResult(Result):
    """The storyboard, ready for a player."""

    vtt_path: str = Field(description="WebVTT file of the cues", examples=["storyboards/film/storyboard.vtt"])
    sheets: list[str] = Field(description="The sheets, in order", examples=[["storyboards/film/sprite_000.jpg"]])
    count: int = Field(description="Number of pictures", examples=[60])
    interval: float = Field(description="Seconds that each picture stands for", examples=[10.0])
    width: int = Field(description="Width of a picture in pixels", examples=[160])
    height: int = Field(description="Height of a picture in pixels", examples=[90])
    columns: int = Field(description="Pictures in a row", examples=[10])
    rows: int = Field(description="Rows of a full sheet", examples=[10])
    duration: float = Field(description="Seconds that the cues cover: the whole video", examples=[596.5])
    size: int = Field(description="Bytes of all files together", examples=[412_345])


# One queue, and so one worker process, for storyboards and previews: a process more costs its memory all the time, and
# both do the same kind of work for some seconds.
@job_type(
    "storyboard",
    queue="preview",
    concurrency=2,
    priority=2,
    time_limit=timedelta(hours=1),
    preload=("workers._storyboards",),
)
def storyboard(payload: StoryboardPayload, job: JobContext) -> StoryboardResult:
    """Make sheets of small pictures and a WebVTT file for scrubbing."""
    source = job.source(payload.video_path)
    output = job.output(payload.output_dir, directory=True, last=CUES, owned=OWNED)
    job.stage("decoding")

    def tell(step: Any) -> None:
        if step.sheet is not None:
            output.finish(step.sheet)
        job.progress(99 * step.done / step.count, f"{step.done} of {step.count} pictures")

    made = job.follow(_make, tell, source, output.path, payload)
    message = f"{made.grid.count} pictures, {made.grid.width}x{made.grid.height}"
    if made.missing:
        job.log(f"damaged video: {made.missing} pictures cannot be read and repeat their neighbours")
    elif made.distinct < made.grid.count:
        job.log(f"the video has fewer keyframes: {made.distinct} pictures differ, the others repeat them")
    job.progress(100, message)
    base = output.uri.rstrip("/")
    return StoryboardResult(
        vtt_path=f"{base}/{CUES}",
        sheets=[f"{base}/{name}" for name in made.grid.sheets],
        count=made.grid.count,
        interval=round(float(made.interval), 6),
        width=made.grid.width,
        height=made.grid.height,
        columns=made.grid.columns,
        rows=made.grid.rows,
        duration=round(float(made.duration), 3),
        size=made.size,
    )


def _make(source: Source, folder: Path, payload: StoryboardPayload) -> Generator[Any, None, Any]:
    """Run in the child: PyAV and its codecs (20 MB) are loaded there, and never in workers, scheduler or API."""
    made: Generator[Any, None, Any] = importlib.import_module("workers._storyboards").make_storyboard(
        source, folder, payload
    )
    return made
