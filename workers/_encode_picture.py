"""The picture of an encoded file: its size, its pixels, and the filters that lead to it."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Literal

from workers._encode_codecs import require_side
from workers._encode_models import EncodePayload
from workers._probe import SourceVideo
from workers._tone_mapping import sdr_filters

_RGB, _RGB_PIXELS = 0, ("rgb", "bgr", "gbr", "pal8")
_SMALLEST = 2
_CHANGING = frozenset(product(("mpegts", "mpeg", "mxf"), ("mpeg2video", "h264")))


@dataclass(frozen=True, slots=True)
class Picture:
    """How pictures are made: even `width` and `height`, `filters` in ffmpeg's syntax, times as multiples of `tick`."""

    width: int
    height: int
    bit_depth: Literal[8, 10]
    is_hdr: bool
    is_tone_mapped: bool
    tick: Fraction
    filters: str

    @property
    def pixels(self) -> str:
        """ffmpeg's name of the pixel format."""
        return _pixels(self.bit_depth)


def plan_picture(payload: EncodePayload, video: SourceVideo, tick: Fraction) -> Picture:
    """Return the picture that the payload asks of this video. Raises BadInputError for one too small for its codec."""
    width, height = fitted(video.width, video.height, payload.width, payload.height, upscale=payload.upscale)
    require_side(payload.picture_codec, width, height, has_rate=payload.target_size is not None)
    is_tone_mapped = video.colour.is_hdr and _makes_sdr(payload)
    is_hdr = video.colour.is_hdr and not is_tone_mapped
    depth = payload.bit_depth or (10 if is_hdr else 8)
    filters = _repairs(video)
    if payload.frame_rate is not None:
        filters.append(f"fps={payload.frame_rate}")
        tick = 1 / payload.frame_rate
    filters.append(_scaling(width, height, video))
    if is_tone_mapped:
        filters += sdr_filters(video.colour)
    filters += [f"format={_pixels(depth)}", "setsar=1"]
    return Picture(width, height, depth, is_hdr, is_tone_mapped, tick, ",".join(filters))


def fitted(
    source_width: int, source_height: int, width: int | None, height: int | None, *, upscale: bool
) -> tuple[int, int]:
    """Return the even size of a picture that fits into the box; without `upscale` never larger than the source."""
    scales = [asked / length for asked, length in ((width, source_width), (height, source_height)) if asked is not None]
    scale = min(scales, default=1.0)
    if not upscale:
        scale = min(1.0, scale)
    most = [length * max(1.0, scale) for length in (source_width, source_height)]
    return _even(source_width * scale, width, most[0]), _even(source_height * scale, height, most[1])


def _even(length: float, box: int | None, most: float) -> int:
    """Return the nearest even number within the box and the source: 4:2:0 has one colour for two pixels."""
    nearest = 2 * round(length / 2)
    if nearest > min(box or most, most):
        nearest -= 2
    return max(_SMALLEST, nearest)


def _pixels(depth: int) -> str:
    return "yuv420p" if depth == 8 else "yuv420p10le"


def _makes_sdr(payload: EncodePayload) -> bool:
    if payload.tone_map is not None:
        return payload.tone_map
    return payload.picture_codec == "h264" or payload.bit_depth == 8


def _repairs(video: SourceVideo) -> list[str]:
    """Weave half pictures; whole ones are passed on, and of broadcasts some are whole and others are not."""
    may_change = (video.container, video.codec) in _CHANGING and video.pixels.startswith("yuv4")
    return ["bwdif=mode=send_frame:deint=interlaced"] if video.is_interlaced or may_change else []


def _scaling(width: int, height: int, video: SourceVideo) -> str:
    """Return the filter that brings every frame to the size, and its levels and colours to what players take.

    Where the size stays, it passes frames on untouched, until one of another size comes along.
    """
    options = [f"scale={width}:{height}"]
    if video.is_full_range:
        options.append("out_range=tv")
    if video.colour.matrix == _RGB or any(name in video.pixels for name in _RGB_PIXELS):
        # Pictures of red, green and blue have to be given a matrix; players take this one for granted.
        options += ["out_color_matrix=bt709", "out_range=tv"] if not video.is_full_range else ["out_color_matrix=bt709"]
    return ":".join(options)
