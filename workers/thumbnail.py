"""The job type `thumbnail`: frames of a video as pictures."""

import importlib
from collections.abc import Generator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from workers._formats import Format, check_extension, format_of
from workers._moments import number_as_text, parse_moment
from workplatform.context import JobContext, Source
from workplatform.models import Payload, Result, WireModel
from workplatform.registry import job_type

AUTO = "auto"
"""The timestamp of the most telling frame."""

_NUMBER = "{n}"
_MOST_AT_ONCE = 100


def _checked_timestamp(value: str) -> str:
    if value.strip().lower() == AUTO:
        return AUTO
    parse_moment(value)
    return value


Timestamp = Annotated[str, BeforeValidator(number_as_text), AfterValidator(_checked_timestamp)]


class ThumbnailPayload(Payload):
    """Which frames of which video, how large, and where to."""

    video_path: str = Field(
        min_length=1,
        description="The video: a path, a URL or s3://bucket/key. Of a remote one only the parts needed are fetched",
        examples=["videos/abc.mp4"],
    )
    output_path: str = Field(
        min_length=1,
        description="Where the picture goes; .webp, .jpg, .png or .avif choose its format. With timestamps, {n} in it "
        "is the number of each, from 1",
        examples=["thumbnails/abc.webp", "thumbnails/{n}.webp"],
    )
    timestamp: Timestamp = Field(
        default="00:00:01",
        description="When, from the start of the video: a clock time, seconds (also as a number) or a share of its "
        "duration. The frame shown at that time is taken; past the end it is the last one. auto: the most telling "
        "frame, sharp, well lit and no title card, out of 16 keyframes from all over the video",
        examples=["00:00:01", "12.5", "50%", "auto"],
    )
    timestamps: tuple[Timestamp, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=_MOST_AT_ONCE,
        description="Several moments instead of timestamp, auto once at most. The video is opened once; all the "
        "pictures appear, or none",
        examples=[["10%", "50%", "90%"]],
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
    def format(self) -> Format:
        """The picture format that the output's extension names."""
        return format_of(self.output_path)

    @property
    def moments(self) -> tuple[str, ...]:
        """Every timestamp, in the order asked for."""
        return self.timestamps or (self.timestamp,)

    @property
    def output_paths(self) -> tuple[str, ...]:
        """Where the picture of each moment goes."""
        if self.timestamps is None:
            return (self.output_path,)
        return tuple(self.output_path.replace(_NUMBER, str(number + 1)) for number in range(len(self.timestamps)))

    @field_validator("output_path")
    @classmethod
    def _has_a_known_extension(cls, value: str) -> str:
        return check_extension(value)

    @field_validator("timestamps")
    @classmethod
    def _chooses_once(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and value.count(AUTO) > 1:
            raise ValueError("auto is one frame of the video: give it once")
        return value

    @model_validator(mode="after")
    def _is_one_form(self) -> Self:
        if self.timestamps is None:
            return self
        if "timestamp" in self.model_fields_set:
            raise ValueError("timestamp and timestamps both say when: give one of them")
        if _NUMBER not in self.output_path:
            raise ValueError("timestamps need {n} in outputPath, for the number of each picture: thumbnails/{n}.webp")
        return self


def _is_none(value: object) -> bool:
    return value is None


class TakenPicture(WireModel):
    """A picture, and the time of the frame that it shows."""

    output_path: str = Field(description="The picture", examples=["thumbnails/abc.webp"])
    size: int = Field(description="Bytes", examples=[12345])
    width: int = Field(description="Pixels", examples=[320])
    height: int = Field(description="Pixels", examples=[180])
    format: Format = Field(description="Of the picture", examples=["webp"])
    timestamp: float = Field(description="Seconds from the start to the frame that was taken", examples=[1.0])
    clamped: bool = Field(
        description="Whether the timestamp was past the end, so that the last frame was taken", examples=[False]
    )
    blurhash: str = Field(
        description="The picture in some thirty characters, for a stand-in while it is loading: https://blurha.sh",
        examples=["LEHV6nWB2yk8pyo0adR*.7kCMdnj"],
    )


class ThumbnailResult(TakenPicture, Result):
    """The picture; of several, the first, and all of them in the order asked for."""

    thumbnails: tuple[TakenPicture, ...] | None = Field(
        None,
        description="With timestamps, every picture in their order; the other fields are of the first",
        examples=[[{"outputPath": "thumbnails/1.webp", "timestamp": 1.0}]],
        exclude_if=_is_none,
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
    """Take pictures from a video."""
    source = job.source(payload.video_path)
    outputs = [job.output(path) for path in payload.output_paths]
    job.stage("decoding")
    job.progress(10)
    made = job.follow(
        _make,
        lambda count: job.progress(10 + 90 * count / len(outputs)),
        source,
        [output.path for output in outputs],
        payload,
    )
    taken = tuple(
        TakenPicture(
            output_path=output.uri,
            size=one.size,
            width=one.width,
            height=one.height,
            format=payload.format,
            timestamp=one.time_s,
            clamped=one.is_past_end,
            blurhash=one.blurhash,
        )
        for output, one in zip(outputs, made, strict=True)
    )
    job.progress(100, _told(payload, taken, job))
    first = taken[0].model_dump()
    return ThumbnailResult(**first, thumbnails=taken if payload.timestamps is not None else None)


def _told(payload: ThumbnailPayload, taken: Sequence[TakenPicture], job: JobContext) -> str:
    """Return what was taken, in a sentence; what was past the end goes to the log too."""
    late = [
        f"{asked} is past the end; took the last frame, at {one.timestamp:g} s"
        for asked, one in zip(payload.moments, taken, strict=True)
        if one.clamped
    ]
    for line in late:
        job.log(line)
    if len(taken) > 1:
        return f"{len(taken)} frames, {taken[0].width}x{taken[0].height}"
    return late[0] if late else f"frame at {taken[0].timestamp:g} s, {taken[0].width}x{taken[0].height}"


def _make(source: Source, targets: Sequence[Path], payload: ThumbnailPayload) -> Generator[int, None, Any]:
    """Run in the child: PyAV and its codecs (20 MB) are loaded there, and never in workers, scheduler or API."""
    return (yield from importlib.import_module("workers._thumbnails").make_thumbnails(source, targets, payload))
