"""The four encoders: one vocabulary of presets and of rate control for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from workplatform.errors import BadInputError

Codec = Literal["h264", "hevc", "av1", "vp9"]
Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]

PRESETS: tuple[Preset, ...] = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
)
# What the encoder of the first pass finds out, in the folder in which ffmpeg runs.
_LOG_OF_PASSES = "passes"
# libvpx has no passes in real time.
_FASTEST_OF_TWO_PASSES: Preset = "faster"
# A tile of VP9 is at least this wide; each is decoded, and partly encoded, by a thread of its own.
_TILE_WIDTH = 256


@dataclass(frozen=True, slots=True)
class Encoder:
    """One encoder: `crf` is the quality without a wish, `crf_range` what a search may use, in steps of `crf_step`.

    `thrift` is the share of the bits that H.264 needs for the same picture. Without `has_passes` an average bitrate is
    aimed at as the pictures come, and missed by more. A picture has at least `least_side` pixels each way: of smaller
    ones x265 breaks its own memory; and `rate_side` if it has to keep to a bitrate. `bitrate_max` is the most
    bits per second to ask for.
    """

    name: str
    crf: float
    crf_max: int
    crf_range: tuple[float, float]
    crf_step: float
    thrift: float
    presets: Mapping[Preset, tuple[str, ...]]
    has_passes: bool = True
    least_side: int = 2
    rate_side: int = 2
    bitrate_max: int = 400_000_000


@dataclass(frozen=True, slots=True)
class ConstantQuality:
    """The same quality all along; lower is better."""

    crf: float


@dataclass(frozen=True, slots=True)
class TwoPasses:
    """An average bitrate in bits per second, in the first or the second of two passes."""

    bitrate: int
    number: Literal[1, 2]


Rate = ConstantQuality | TwoPasses


def _named() -> dict[Preset, tuple[str, ...]]:
    return {preset: ("-preset", preset) for preset in PRESETS}


def _numbered(first: int, last: int) -> dict[Preset, tuple[str, ...]]:
    numbers = range(first, last - 1, -1)
    return {preset: ("-preset", str(number)) for preset, number in zip(PRESETS, numbers, strict=True)}


def _vp9() -> dict[Preset, tuple[str, ...]]:
    speeds = [("realtime", 8), ("realtime", 7), ("realtime", 5), *(("good", speed) for speed in (5, 4, 3, 2, 1, 0))]
    return {
        preset: ("-deadline", deadline, "-cpu-used", str(speed))
        for preset, (deadline, speed) in zip(PRESETS, speeds, strict=True)
    }


ENCODERS: Mapping[Codec, Encoder] = {
    "h264": Encoder("libx264", 23, 51, (8, 45), 0.5, 1.0, _named()),
    "hevc": Encoder("libx265", 28, 51, (8, 47), 0.5, 0.65, _named(), least_side=32),
    # Preset 6 takes about as long as medium of x264. The log of a first pass is broken, or the encoder crashes over it.
    # It keeps to a bitrate by a quantization that adapts, which it has for 64 pixels each way and more.
    "av1": Encoder(
        "libsvtav1", 35, 63, (10, 63), 1, 0.5, _numbered(11, 3), has_passes=False, rate_side=64, bitrate_max=100_000_000
    ),
    "vp9": Encoder("libvpx-vp9", 32, 63, (8, 63), 1, 0.7, _vp9()),
}


def require_side(codec: Codec, width: int, height: int, *, has_rate: bool) -> None:
    """Raise BadInputError if the codec's encoder cannot make pictures that small, or not with a bitrate to keep to."""
    encoder = ENCODERS[codec]
    side = min(width, height)
    if side < encoder.least_side:
        least, way, mend = encoder.least_side, "", "or another codec"
    elif has_rate and side < encoder.rate_side:
        least, way, mend = encoder.rate_side, " where size or bitrate are given", "another codec, or a crf"
    else:
        return
    raise BadInputError(
        f"{codec} has pictures of at least {least} pixels each way{way}, this one would be {width}x{height}: "
        f"give a larger width or height, {mend}"
    )


def encoder_words(codec: Codec, preset: Preset, rate: Rate, *, width: int) -> list[str]:
    """Return ffmpeg's options for a picture of this width; the log of passes is in the folder in which it runs."""
    encoder = ENCODERS[codec]
    speed = encoder.presets[preset]
    if codec == "vp9" and isinstance(rate, TwoPasses) and "realtime" in speed:
        speed = encoder.presets[_FASTEST_OF_TWO_PASSES]
    words = ["-c:v", encoder.name, *speed]
    parameters = []
    if isinstance(rate, ConstantQuality):
        words += ["-crf", f"{rate.crf:g}"]
        # Else libvpx takes the quality for the best that its default bitrate may have.
        words += ["-b:v", "0"] if codec == "vp9" else []
    else:
        words += ["-b:v", str(rate.bitrate)]
        if codec == "hevc":
            parameters = [f"pass={rate.number}", f"stats={_LOG_OF_PASSES}"]
        elif encoder.has_passes:
            words += ["-pass", str(rate.number), "-passlogfile", _LOG_OF_PASSES]
    if codec == "hevc":
        words += ["-x265-params", ":".join(["log-level=error", *parameters])]
    if codec == "vp9":
        words += ["-row-mt", "1", "-tile-columns", str(_tile_columns(width))]
    return words


def _tile_columns(width: int) -> int:
    """Return the binary logarithm of the number of columns: at most 16."""
    return min(4, max(0, (width // _TILE_WIDTH).bit_length() - 1))
