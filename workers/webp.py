"""The job type `webp`: a picture or an animation as WebP, AVIF, JPEG or PNG."""

import importlib
from collections.abc import Sequence
from datetime import timedelta
from os.path import splitext
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from workers._formats import Format, check_extension, format_of
from workers._quantities import MOST_BYTES, ByteSize
from workplatform.context import JobContext
from workplatform.models import NAMED_AFTER_EXAMPLE, Payload, Result, WireModel
from workplatform.registry import job_type

_MOST_VARIANTS = 20
_HIGHEST = 100


class Variant(WireModel):
    """The same picture once more, in another width."""

    width: int = Field(
        ge=1,
        le=16383,
        description="Largest width in pixels; proportions are kept, nothing is enlarged",
        examples=[800],
    )
    suffix: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[^/\\\x00-\x1f\x7f]+$",
        description="What comes between the name of outputPath and its extension; no slashes",
        examples=["-800", "@2x"],
    )


class WebpPayload(Payload):
    """Which picture, how good, how large, and where to."""

    input_path: str = Field(
        min_length=1,
        description="The picture or animation: JPEG, PNG, GIF, WebP, AVIF, TIFF, BMP, JPEG 2000, ...",
        examples=["images/photo.jpg"],
    )
    output_path: str = Field(
        min_length=1,
        description="Where the picture goes; .webp, .avif, .jpg or .png choose its format. An animation stays one as "
        "webp and avif; of it jpg and png hold the first picture. What is transparent is white in a jpg",
        examples=["images/photo.webp", "images/photo.avif"],
        json_schema_extra=NAMED_AFTER_EXAMPLE,
    )
    quality: int = Field(
        default=80,
        ge=0,
        le=100,
        description="0 (small) to 100 (good); with lossless, how hard to compress; with targetSize, the most, and 100 "
        "unless given; png ignores it",
        examples=[80],
    )
    lossless: bool = Field(
        default=False, description="Keep every pixel as it is; for webp, and what png does anyway", examples=[False]
    )
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
        description="fast: twice the speed for some 4 % more bytes (avif: 15 %); best: slower and a little smaller",
        examples=["balanced"],
    )
    target_size: ByteSize | None = Field(
        default=None,
        ge=1,
        le=MOST_BYTES,
        description='Most bytes of each file, a number or like "100k" (thousands) or "100KiB": the best quality that '
        "fits is found. For webp, avif and jpg",
        examples=["100k"],
    )
    variants: tuple[Variant, ...] = Field(
        default=(),
        max_length=_MOST_VARIANTS,
        description="Further widths of the same picture, each in a file beside outputPath. All of them appear, or none",
        examples=[[{"width": 400, "suffix": "-400"}, {"width": 800, "suffix": "-800"}]],
    )

    @property
    def format(self) -> Format:
        """The picture format that the output's extension names."""
        return format_of(self.output_path)

    @property
    def is_lossless(self) -> bool:
        """Whether every pixel is kept."""
        return self.lossless or self.format == "png"

    @property
    def highest_quality(self) -> int:
        """The most that a target size may choose."""
        return self.quality if "quality" in self.model_fields_set else _HIGHEST

    @property
    def output_paths(self) -> tuple[str, ...]:
        """Where the picture and its variants go."""
        return _paths(self.output_path, self.variants)

    @field_validator("output_path")
    @classmethod
    def _has_a_known_extension(cls, value: str) -> str:
        return check_extension(value)

    @field_validator("lossless")
    @classmethod
    def _can_be_lossless(cls, value: bool, info: ValidationInfo) -> bool:
        if value and _format_in(info) in ("jpg", "avif"):
            raise ValueError(f"{_format_in(info)} is not written without loss: give an outputPath in .webp or .png")
        return value

    @field_validator("target_size")
    @classmethod
    def _can_be_aimed_at(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and (info.data.get("lossless") or _format_in(info) == "png"):
            raise ValueError("what is kept without loss has the size it has: write webp, avif or jpg, not lossless")
        return value

    @field_validator("variants")
    @classmethod
    def _have_names_of_their_own(cls, value: tuple[Variant, ...], info: ValidationInfo) -> tuple[Variant, ...]:
        if len({variant.suffix for variant in value}) < len(value):
            raise ValueError("two variants have the same suffix: each needs its own")
        for variant, path in zip(value, _paths(info.data.get("output_path", ""), value)[1:], strict=True):
            if path == info.data.get("input_path"):
                raise ValueError(f"the variant {variant.suffix!r} would replace inputPath: give it another suffix")
        return value


def _paths(output_path: str, variants: Sequence[Variant]) -> tuple[str, ...]:
    stem, ending = splitext(output_path)  # noqa: PTH122 - a URI keeps its slashes
    return (output_path, *(f"{stem}{variant.suffix}{ending}" for variant in variants))


def _format_in(info: ValidationInfo) -> Format | None:
    path = info.data.get("output_path")
    return None if path is None else format_of(path)


def _is_none(value: object) -> bool:
    return value is None


class WrittenVariant(WireModel):
    """A variant as it was written."""

    output_path: str = Field(description="Its file", examples=["images/photo-800.webp"])
    suffix: str = Field(description="As asked for", examples=["-800"])
    size: int = Field(description="Bytes", examples=[45992])
    width: int = Field(description="Pixels", examples=[800])
    height: int = Field(description="Pixels", examples=[600])
    quality: int | None = Field(description="That it was written with; null without loss", examples=[80])


class WebpResult(Result):
    """The picture, and what it saves."""

    output_path: str = Field(description="The picture", examples=["images/photo.webp"])
    size: int = Field(description="Bytes", examples=[145992])
    width: int = Field(description="Pixels", examples=[1600])
    height: int = Field(description="Pixels", examples=[1200])
    format: Format = Field(description="Of the picture", examples=["webp"])
    quality: int | None = Field(description="That it was written with; null without loss", examples=[80])
    frames: int = Field(description="Frames of an animation, 1 for a still", examples=[1])
    saved_bytes: int = Field(
        description="Bytes of the input less those of the picture; negative if it grew", examples=[3200000]
    )
    variants: tuple[WrittenVariant, ...] | None = Field(
        None,
        description="The variants, in the order asked for",
        examples=[[{"outputPath": "images/photo-800.webp", "suffix": "-800", "width": 800}]],
        exclude_if=_is_none,
    )


@job_type("webp", queue="webp", concurrency=3, priority=1, time_limit=timedelta(minutes=5), preload=("workers._webp",))
def webp(payload: WebpPayload, job: JobContext) -> WebpResult:
    """Convert a picture to WebP, AVIF, JPEG or PNG."""
    source = job.input(payload.input_path)
    outputs = [job.output(path) for path in payload.output_paths]
    job.stage("converting")
    job.progress(10)
    made = job.isolated(_make, source, [output.path for output in outputs], payload)
    main = made.pictures[0]
    if made.left_out:
        job.log(f"the input is an animation: {payload.format} holds its first picture, {made.left_out} are left out")
    job.progress(100, f"{main.width}x{main.height}, {main.size} bytes, {made.saved_bytes} saved")
    variants = tuple(
        WrittenVariant(
            output_path=output.uri,
            suffix=variant.suffix,
            size=one.size,
            width=one.width,
            height=one.height,
            quality=one.quality,
        )
        for variant, output, one in zip(payload.variants, outputs[1:], made.pictures[1:], strict=True)
    )
    return WebpResult(
        output_path=outputs[0].uri,
        size=main.size,
        width=main.width,
        height=main.height,
        format=payload.format,
        quality=main.quality,
        frames=made.frames,
        saved_bytes=made.saved_bytes,
        variants=variants or None,
    )


def _make(source: Path, targets: Sequence[Path], payload: WebpPayload) -> Any:
    """Run in the child: Pillow is loaded there, and never in workers, scheduler or API."""
    return importlib.import_module("workers._webp").make_webp(source, targets, payload)
