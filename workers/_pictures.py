"""From a decoded video frame to the bytes of a picture: size, orientation, colours, encoding."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.codec import CodecContext
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from PIL import Image

from workers._blurhash import SMALL_SIDE, blurhash
from workers._encodings import BLACK, MAX_SIDES, Encoding, on_background
from workers._formats import Format
from workers._frames import Grab
from workers._turns import ON_ITS_SIDE, swapped
from workplatform.errors import EncoderError

_DEFAULT_WIDTH = 320
_MAX_SIDE = min(MAX_SIDES.values())
_WIDE = frozenset({ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67})
_WEBP_METHOD = 4
_HOW = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
# Pixels of HDR on the way down.
_BETWEEN = "yuv444p10le"

# What is left to do after scaling, by the signs of the display matrix (libavutil/display.h):
# x' = ax + cy, y' = bx + dy.
_UPRIGHT = {
    (1, 0, 0, 1): None,
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture, its size in pixels and its BlurHash."""

    data: bytes
    width: int
    height: int
    blurhash: str


def draw(
    grab: Grab,
    width: int | None,
    height: int | None,
    *,
    format_: Format,
    quality: int,
    scaler: VideoReformatter | None = None,
) -> Picture:
    """Encode a frame upright and with square pixels, as large as asked; 320 wide at most if nothing is asked.

    Frames of one video should share a scaler, as for `upright`. Raises EncoderError.
    """
    try:
        if format_ == "webp" and _turn(grab.frame) is None:
            size = _fit(_shown_size(grab, None), width, height)
            data, small = _webp_of_planes(grab.frame, size, quality, scaler)
        else:
            data, small, size = _picture_of_pixels(
                upright(grab, width, height, scaler=scaler), Encoding(format_, quality)
            )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise EncoderError(f"the frame could not be encoded as {format_}: {error}") from error
    return Picture(data, *size, blurhash=blurhash(on_background(small, BLACK).tobytes(), *small.size))


def upright(
    grab: Grab, width: int | None, height: int | None, *, scaler: VideoReformatter | None = None
) -> Image.Image:
    """Return a frame upright, with square pixels, as large as asked, in the colours of ordinary screens.

    Frames of one video should share a scaler: its table for bringing HDR down takes seconds to make.
    """
    turn = _turn(grab.frame)
    size = _fit(_shown_size(grab, turn), width, height)
    image = _image(grab.frame, swapped(size, turn), scaler)
    return image if turn is None else image.transpose(turn)


def shown_width(grab: Grab) -> int:
    """Return how wide a frame is upright and with square pixels, in pixels."""
    width, _ = _shown_size(grab, _turn(grab.frame))
    return max(1, round(width))


def _turn(frame: VideoFrame) -> Image.Transpose | None:
    side_data: Any = frame.side_data
    try:
        matrix = side_data[Type.DISPLAYMATRIX]
    except KeyError:
        return None
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    largest = max(abs(a), abs(b), abs(c), abs(d))

    def sign(one: int) -> int:
        return 0 if abs(one) * 2 < largest else (1 if one > 0 else -1)

    return _UPRIGHT.get((sign(a), sign(b), sign(c), sign(d)))


def _shown_size(grab: Grab, turn: Image.Transpose | None) -> tuple[Fraction, Fraction]:
    width, height = grab.frame.width * grab.sample_aspect, Fraction(grab.frame.height)
    return (height, width) if turn in ON_ITS_SIDE else (width, height)


def _fit(shown: tuple[Fraction, Fraction], width: int | None, height: int | None) -> tuple[int, int]:
    """Return the size in whole pixels with the proportions of `shown`; both given are a box to fit into."""
    if width is None and height is None:
        width = min(_DEFAULT_WIDTH, max(1, round(shown[0])))
    limits = ((width or _MAX_SIDE) / shown[0], (height or _MAX_SIDE) / shown[1])
    scale = min(limits)
    return max(1, round(shown[0] * scale)), max(1, round(shown[1] * scale))


def _webp_of_planes(
    frame: VideoFrame, size: tuple[int, int], quality: int, scaler: VideoReformatter | None
) -> tuple[bytes, Image.Image]:
    """Give the frame to libwebp without a detour over RGB, in the colour matrix and range that WebP prescribes.

    Return the file, and the picture again for its BlurHash.
    """
    pixels = "yuva420p" if _has_alpha(frame) else "yuv420p"
    scaled = _scaled(frame, size, pixels, scaler, dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG)
    encoder = CodecContext.create("libwebp", "w")
    encoder.width, encoder.height, encoder.pix_fmt = scaled.width, scaled.height, pixels
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"quality": str(quality), "compression_level": str(_WEBP_METHOD)}
    scaled.pts, scaled.time_base = 0, encoder.time_base
    data = b"".join(bytes(packet) for packet in [*encoder.encode(scaled), *encoder.encode(None)])
    return data, _image(scaled, _small(size), None, src_colorspace=Colorspace.ITU601, src_color_range=ColorRange.MPEG)


def _picture_of_pixels(image: Image.Image, encoding: Encoding) -> tuple[bytes, Image.Image, tuple[int, int]]:
    """Return the file, the picture again for its BlurHash, and its size."""
    # What is behind the picture is black, as in a video player.
    flat = on_background(image, BLACK) if encoding.format == "jpg" else image
    return encoding.encode(flat), flat.resize(_small(flat.size), Image.Resampling.BOX), flat.size


def _small(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, SMALL_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _image(frame: VideoFrame, size: tuple[int, int], scaler: VideoReformatter | None, **colours: Any) -> Image.Image:
    mode, pixels = ("RGBA", "rgba") if _has_alpha(frame) else ("RGB", "rgb24")
    plane = _scaled(frame, size, pixels, scaler, dst_color_range=ColorRange.JPEG, **colours).planes[0]
    return Image.frombuffer(mode, size, bytes(plane), "raw", mode, plane.line_size, 1)


def _scaled(
    frame: VideoFrame, size: tuple[int, int], pixels: str, scaler: VideoReformatter | None, **colours: Any
) -> VideoFrame:
    """Scale and convert in one go. Untagged colours are read as ffmpeg reads them; HDR is brought down to SDR."""
    if frame.color_trc in _WIDE or frame.color_primaries == ColorPrimaries.BT2020:
        colours |= {"dst_color_trc": ColorTrc.BT709, "dst_color_primaries": ColorPrimaries.BT709}
        if size[0] * size[1] < frame.width * frame.height and not _has_alpha(frame):
            # Colours are brought down pixel by pixel, which of a 4K frame takes a third of a second.
            frame = VideoReformatter().reformat(frame, *size, _BETWEEN, interpolation=_HOW, threads=1)
    scaler = scaler or VideoReformatter()
    return scaler.reformat(frame, *size, pixels, interpolation=_HOW, threads=1, **colours)


def _has_alpha(frame: VideoFrame) -> bool:
    return frame.format.has_palette or any(one.is_alpha for one in frame.format.components)
