"""What an encode job takes and gives."""

import re
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from workers._encode_codecs import ENCODERS, Codec, Preset
from workers._encode_containers import CONTAINERS, Container, refusal
from workers._hls_ladder import Bitrate
from workers._moments import number_as_text, parse_moment
from workers._names import extension
from workers._quantities import MOST_BYTES, ByteSize
from workplatform.models import Payload, Result, WireModel

_MAX_FRAME_RATE = 240
# One frame in so many seconds.
_SLOWEST = 1001
# What people round to two or three digits.
_NTSC = {f"{rate * 1000 / 1001:.{digits}f}": f"{rate}000/1001" for rate in (24, 30, 48, 60, 120) for digits in (2, 3)}
# No exponents: the number that "1e99999999" is takes minutes to be made.
_RATE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}|/0*[1-9][0-9]{0,8})?")
_WAYS = ("crf", "target_size", "target_quality")


def _moment(value: Any) -> Any:
    text = number_as_text(value)
    if isinstance(text, str):
        parse_moment(text)
    return text


def _frame_rate(value: Any) -> Any:
    """Read 25, 29.97 and "30000/1001"; the rates of NTSC are made exact."""
    text = number_as_text(value)
    if not isinstance(text, str):
        return value
    word = _NTSC.get(text.strip(), text.strip())
    if not _RATE.fullmatch(word):
        raise ValueError('a frame rate is a number, or a fraction such as "30000/1001"')
    rate = Fraction(word).limit_denominator(_SLOWEST)
    if not 0 < rate <= _MAX_FRAME_RATE:
        raise ValueError(f"a frame rate is at least 1/{_SLOWEST} and at most {_MAX_FRAME_RATE}")
    return str(rate)


_NUMBER_OR_TEXT = {"anyOf": [{"type": "number"}, {"type": "string"}]}
MomentText = Annotated[str, BeforeValidator(_moment), WithJsonSchema(_NUMBER_OR_TEXT, mode="validation")]
FrameRate = Annotated[str, BeforeValidator(_frame_rate), WithJsonSchema(_NUMBER_OR_TEXT, mode="validation")]


class Trim(WireModel):
    """The part of the video to take."""

    start: MomentText = Field(
        default="0",
        description="First moment: seconds, a clock time or a share of the duration",
        examples=["00:00:10"],
    )
    end: MomentText | None = Field(
        default=None, description="Moment after the last, counted from the start of the video", examples=["90%"]
    )

    @model_validator(mode="after")
    def _has_length(self) -> "Trim":
        start, end = parse_moment(self.start), parse_moment(self.end) if self.end is not None else None
        if end is not None and end.is_share == start.is_share and end.value <= start.value:
            raise ValueError(f"trim ends at {self.end}, not after its start at {self.start}")
        return self


class EncodePayload(Payload):
    """A video, and how to write it anew."""

    input_path: str = Field(
        min_length=1, description="The video: a path, a URL or s3://bucket/key", examples=["videos/film.mov"]
    )
    output_path: str = Field(
        min_length=1,
        description="Where the video goes; .mp4, .mov, .mkv or .webm choose the kind of file",
        examples=["videos/film.mp4"],
    )
    codec: Codec | None = Field(
        default=None, description="Of the picture; without it h264, in a .webm vp9", examples=["hevc"]
    )
    preset: Preset = Field(
        default="medium",
        description="How much time is spent to save bytes, in the words of x264 for all codecs",
        examples=["fast"],
    )
    crf: int | float | None = Field(
        default=None,
        ge=0,
        le=63,
        description="Constant quality in the scale of the codec's encoder, lower is better: 0 to 51 for h264 (without "
        "it 23) and hevc (28), whole numbers from 0 to 63 for av1 (35) and vp9 (32)",
        examples=[21],
    )
    target_size: ByteSize | None = Field(
        default=None,
        ge=1000,
        le=MOST_BYTES,
        description="Bytes of the whole file, hit by two passes within a few percent and never exceeded: a number or "
        'like "25M" (millions) or "25MiB". Instead of crf',
        examples=["25M"],
    )
    target_quality: float | None = Field(
        default=None,
        ge=20,
        le=99,
        description="VMAF to reach, found by encoding short cuts: 95 can hardly be told from the original, 80 is fair. "
        "Instead of crf",
        examples=[93],
    )
    width: int | None = Field(
        default=None,
        ge=16,
        le=8192,
        description="Width in pixels; with height, the box to fit into. Proportions are kept",
        examples=[1280],
    )
    height: int | None = Field(default=None, ge=16, le=8192, description="Height in pixels", examples=[720])
    upscale: bool = Field(
        default=False, description="Enlarge a picture that is smaller than width and height", examples=[True]
    )
    fps: FrameRate | None = Field(
        default=None,
        description="Frames per second, as a number or a fraction. Without it every frame keeps its time",
        examples=[25, "30000/1001"],
    )
    trim: Trim | None = Field(default=None, description="The part to take", examples=[{"start": "10", "end": "1:30"}])
    bit_depth: Literal[8, 10] | None = Field(
        default=None, description="Bits of a sample; without it 10 for a picture that stays HDR, else 8", examples=[10]
    )
    tone_map: bool | None = Field(
        default=None,
        description="Make HDR fit for every screen (SDR), or keep it. Without it h264 and 8 bits get SDR, others keep "
        "HDR",
        examples=[True],
    )
    audio: Literal["default", "all", "none"] | Annotated[tuple[str, ...], Field(min_length=1, max_length=32)] = Field(
        default="default",
        description="Which sounds are kept: the one that players choose, all, none, or a list of languages",
        examples=["all", ["en", "de"]],
    )
    audio_bitrate: Bitrate | None = Field(
        default=None,
        ge=16_000,
        le=1_024_000,
        description="Bits per second of each sound. Without it a sound that fits the file is copied, others get AAC "
        "(Opus in .webm) of 64k (48k) a channel",
        examples=["128k"],
    )
    subtitles: Literal["keep", "drop"] = Field(
        default="keep", description="keep: all that the kind of file can hold", examples=["drop"]
    )
    metadata: Literal["keep", "drop"] = Field(
        default="keep", description="Title, chapters, place and time of the recording; languages are always kept"
    )

    @property
    def container(self) -> Container:
        """The kind of file that the output's extension names."""
        return CONTAINERS[extension(self.output_path)]

    @property
    def picture_codec(self) -> Codec:
        """The codec asked for, or the usual one of the kind of file."""
        return self.codec or self.container.codecs[0]

    @property
    def frame_rate(self) -> Fraction | None:
        """The frame rate asked for."""
        return None if self.fps is None else Fraction(self.fps)

    @field_validator("output_path")
    @classmethod
    def _check_extension(cls, value: str) -> str:
        if extension(value) not in CONTAINERS:
            raise ValueError(f"{value!r} must end in {', '.join(CONTAINERS)}")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "EncodePayload":
        if self.input_path == self.output_path:
            raise ValueError("outputPath is the input: give the result another name")
        if problem := refusal(extension(self.output_path), self.picture_codec):
            raise ValueError(problem)
        ways = [name for name in _WAYS if getattr(self, name) is not None]
        if len(ways) > 1:
            raise ValueError("crf, targetSize and targetQuality exclude each other: give one of them")
        if self.upscale and self.width is None and self.height is None:
            raise ValueError("upscale needs a width or a height")
        if self.tone_map is False and self.picture_codec == "h264":
            raise ValueError("toneMap false: HDR in h264 is shown by no player; choose codec hevc, av1 or vp9")
        if self.tone_map is False and self.bit_depth == 8:
            raise ValueError("toneMap false: HDR needs bitDepth 10")
        self._check_crf()
        return self

    def _check_crf(self) -> None:
        encoder = ENCODERS[self.picture_codec]
        if self.crf is None:
            return
        if self.crf > encoder.crf_max:
            raise ValueError(f"crf of {self.picture_codec} is at most {encoder.crf_max}")
        if encoder.crf_step == 1 and self.crf != int(self.crf):
            raise ValueError(f"crf of {self.picture_codec} is a whole number")


class EncodedSound(WireModel):
    """One sound of the result."""

    codec: str = Field(description="Its codec", examples=["aac"])
    channels: int = Field(description="Number of channels", examples=[2])
    language: str | None = Field(description="BCP 47 tag, if the source names one", examples=["en"])
    copied: bool = Field(description="Whether it was taken over as it was", examples=[False])


class EncodedText(WireModel):
    """One subtitle track of the result."""

    codec: str = Field(description="Its codec", examples=["mov_text"])
    language: str | None = Field(description="BCP 47 tag, if the source names one", examples=["de"])


class EncodeResult(Result):
    """The video as it was written."""

    output_path: str = Field(description="The video", examples=["videos/film.mp4"])
    size: int = Field(description="Bytes", examples=[24_650_000])
    saved_bytes: int = Field(
        description="Bytes of the input less those of the output; negative if it grew", examples=[75_000_000]
    )
    ratio: float = Field(description="Bytes of the output for each byte of the input", examples=[0.247])
    duration: float = Field(description="Length in seconds", examples=[120.04])
    frames: int = Field(description="Number of pictures", examples=[3001])
    width: int = Field(description="Pixels", examples=[1280])
    height: int = Field(description="Pixels", examples=[720])
    codec: Codec = Field(description="Of the picture", examples=["h264"])
    bit_depth: Literal[8, 10] = Field(description="Bits of a sample", examples=[8])
    hdr: bool = Field(description="Whether the picture is HDR", examples=[False])
    tone_mapped: bool = Field(description="Whether HDR was made SDR", examples=[False])
    crf: float | None = Field(description="The quality asked for or found; null for a target size", examples=[23])
    vmaf: float | None = Field(description="With targetQuality, the VMAF of the result", examples=[93.2])
    audio: list[EncodedSound] = Field(description="The sounds, in their order")
    subtitles: list[EncodedText] = Field(description="The subtitles, in their order")
    dropped: list[str] = Field(
        description="Tracks that were wanted and could not be kept, with the reason",
        examples=[["subtitles 1 (en): hdmv_pgs_subtitle does not fit into .mp4"]],
    )
