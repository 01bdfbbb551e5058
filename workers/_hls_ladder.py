"""The ladder: which renditions are made of a video, how large, and with how many bits."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from workplatform.models import WireModel

HEIGHTS = {
    "2160p": 2160,
    "1440p": 1440,
    "1080p": 1080,
    "720p": 720,
    "480p": 480,
    "360p": 360,
    "240p": 240,
    "144p": 144,
}
DEFAULT_AUDIO_BITRATE = 128_000
Codec = Literal["h264", "hevc", "av1"]
SegmentType = Literal["ts", "fmp4"]
# Constant quality on the scales of x264, x265 and SVT-AV1 at which films look alike, and the end of each scale.
_DEFAULT_CRF: dict[Codec, int] = {"h264": 23, "hevc": 26, "av1": 35}
WORST_CRF: dict[Codec, int] = {"h264": 51, "hevc": 51, "av1": 63}
# The share of H.264's bits with which a codec reaches the same quality.
_BITS: dict[Codec, float] = {"h264": 1.0, "hevc": 0.65, "av1": 0.55}

_BITRATE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([kKmM]?)")
_UNIT = {"": 1, "k": 1_000, "m": 1_000_000}
_SCREEN = 16 / 9
# A source that lacks less than this of a rung's size, as cropped videos do, still counts as that rung.
_NEARLY = 0.9


def _bits_per_second(value: Any) -> Any:
    """Read "2800k" and "5M"; leave all else to the validation of integers."""
    if not isinstance(value, str):
        return value
    match = _BITRATE.fullmatch(value.strip())
    if match is None:
        raise ValueError('a bitrate is a number of bits per second, or a text such as "2800k" or "5M"')
    return round(float(match[1]) * _UNIT[match[2].lower()])


Bitrate = Annotated[
    int,
    BeforeValidator(_bits_per_second),
    WithJsonSchema(
        {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d+(\.\d+)?\s*[kKmM]?$"}]}, mode="validation"
    ),
]


class Quality(WireModel):
    """One rendition as asked for: a name such as "720p", or an object that says more.

    Without `bitrate` and `crf` the rendition has constant quality under a ceiling that follows its height. `bitrate`
    alone is the average to hit, `crf` alone is constant quality without a ceiling, both are quality under that ceiling.
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$",
        description="Name of the rendition and of its folder; without it, the height with a p",
        examples=["720p"],
    )
    height: int = Field(
        ge=16,
        le=4320,
        description="Lines of the picture: its shorter side, so 720 of a portrait video is 720 wide. "
        "May be left out where the name is one of the usual ones",
        examples=[720],
    )
    bitrate: Bitrate | None = Field(
        default=None,
        ge=16_000,
        le=200_000_000,
        description="Video bits per second, as a number or like 2800k or 5M",
        examples=["2800k"],
    )
    audio_bitrate: Bitrate = Field(
        default=DEFAULT_AUDIO_BITRATE,
        ge=16_000,
        le=512_000,
        description="Audio bits per second, as a number or like 128k",
        examples=["128k"],
    )
    crf: int | None = Field(
        default=None,
        ge=1,
        le=63,
        description="Constant quality on the scale of the encoder, lower is better: up to 51 for h264 (usual are 18 to "
        "28, without it 23) and hevc (26), up to 63 for av1 (35)",
        examples=[23],
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, value: Any) -> Any:
        """Take a bare name for an object, and fill in height from name or name from height."""
        if isinstance(value, str):
            if value.lower() not in HEIGHTS:
                raise ValueError(
                    f"unknown quality {value!r}: use one of {', '.join(HEIGHTS)}, or an object with a height"
                )
            return {"name": value.lower(), "height": HEIGHTS[value.lower()]}
        if not isinstance(value, dict):
            return value
        name, height = value.get("name"), value.get("height")
        if height is None and isinstance(name, str) and name.lower() in HEIGHTS:
            return {**value, "height": HEIGHTS[name.lower()]}
        if name is None and isinstance(height, int):
            return {**value, "name": f"{height}p"}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        schema.pop("required", None)
        return {"anyOf": [{"type": "string", "enum": list(HEIGHTS)}, schema]}


@dataclass(frozen=True, slots=True)
class Rung:
    """One rendition as it is made: even `width` and `height`, and the rate control; rates in bits per second.

    `has_asked_ceiling` tells a ceiling that the client has asked for from one that follows the height.
    """

    name: str
    width: int
    height: int
    audio_bitrate: int
    bitrate: int | None
    crf: int | None
    ceiling: int | None
    has_asked_ceiling: bool = False


def climb(qualities: Sequence[Quality], width: int, height: int, codec: Codec = "h264") -> list[Rung]:
    """Return the renditions to make of a video of this size, in the order asked.

    A rendition that would need upscaling is left out, but the lowest asked is always made: if even that is larger than
    the video, at the size of the video and under the name asked.
    """
    lowest = min(quality.height for quality in qualities)
    return [
        _rung(quality, width, height, codec)
        for quality in qualities
        if quality.height == lowest or _reaches(quality.height, width, height)
    ]


def _reaches(lines: int, width: int, height: int) -> bool:
    """Whether the source has about as many lines, or is as wide as a 16:9 picture of so many lines (cinema formats)."""
    short, long = sorted((width, height))
    return short >= _NEARLY * lines or long >= _NEARLY * lines * _SCREEN


def _rung(quality: Quality, width: int, height: int, codec: Codec) -> Rung:
    scale = min(1.0, quality.height / min(width, height))
    bitrate, crf, ceiling = _rate_control(quality, codec)
    return Rung(
        name=quality.name,
        width=_even(width * scale, width),
        height=_even(height * scale, height),
        audio_bitrate=quality.audio_bitrate,
        bitrate=bitrate,
        crf=crf,
        ceiling=ceiling,
        has_asked_ceiling=quality.bitrate is not None,
    )


def _even(length: float, source: int) -> int:
    """Return the nearest even number (4:2:0 has one colour sample for two pixels), never above the source's."""
    return max(2, min(2 * round(length / 2), source - source % 2))


def _rate_control(quality: Quality, codec: Codec) -> tuple[int | None, int | None, int | None]:
    """Return average bitrate, constant quality and ceiling, of which an encoder takes either of the first two."""
    if quality.bitrate is None and quality.crf is None:
        return None, _DEFAULT_CRF[codec], usual_bitrate(quality.height, codec)
    if quality.crf is None:
        return quality.bitrate, None, quality.bitrate
    return None, quality.crf, quality.bitrate


def usual_bitrate(lines: int, codec: Codec) -> int:
    """Return the bits per second that so many lines need: in H.264 5M at 1080, 2.6M at 720, 1.4M at 480.

    The exponent says that a picture with twice the lines, four times the pixels, needs three times the bits.
    """
    return round(5_000_000 * math.pow(lines / 1080, 1.6) * _BITS[codec])
