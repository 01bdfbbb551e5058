"""From a decoded video frame to the bytes of a picture: size, orientation, colours, encoding."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Any, Literal

import av
from av.codec import CodecContext
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from PIL import Image

from workers._frames import Grab
from workplatform.errors import EncoderError

Format = Literal["webp", "jpg", "png", "avif"]

_DEFAULT_WIDTH = 320
_MAX_SIDE = 16383  # of WebP, the least of the four formats
_WIDE = frozenset({ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67})
_WEBP_METHOD = 4

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
_ON_ITS_SIDE = frozenset(
    {
        Image.Transpose.ROTATE_270,
        Image.Transpose.ROTATE_90,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.TRANSVERSE,
    }
)


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture and its size in pixels."""

    data: bytes
    width: int
    height: int


def draw(grab: Grab, width: int | None, height: int | None, *, format_: Format, quality: int) -> Picture:
    """Encode a frame upright and with square pixels, as large as asked; 320 wide at most if nothing is asked.

    Raises EncoderError.
    """
    try:
        if format_ == "webp" and _turn(grab.frame) is None:
            size = _fit(_shown_size(grab, on_its_side=False), width, height)
            return Picture(_webp_of_planes(grab.frame, size, quality), *size)
        image = upright(grab, width, height)
        return Picture(_encoded(image, format_, quality), *image.size)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise EncoderError(f"the frame could not be encoded as {format_}: {error}") from error


def upright(grab: Grab, width: int | None, height: int | None) -> Image.Image:
    """Return a frame upright, with square pixels, as large as asked, in the colours of ordinary screens."""
    turn = _turn(grab.frame)
    on_its_side = turn in _ON_ITS_SIDE
    across, down = _fit(_shown_size(grab, on_its_side=on_its_side), width, height)
    image = _image(grab.frame, (down, across) if on_its_side else (across, down))
    return image if turn is None else image.transpose(turn)


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


def _shown_size(grab: Grab, *, on_its_side: bool) -> tuple[Fraction, Fraction]:
    width, height = grab.frame.width * grab.sample_aspect, Fraction(grab.frame.height)
    return (height, width) if on_its_side else (width, height)


def _fit(shown: tuple[Fraction, Fraction], width: int | None, height: int | None) -> tuple[int, int]:
    """Return the size in whole pixels with the proportions of `shown`; both given are a box to fit into."""
    if width is None and height is None:
        width = min(_DEFAULT_WIDTH, max(1, round(shown[0])))
    limits = ((width or _MAX_SIDE) / shown[0], (height or _MAX_SIDE) / shown[1])
    scale = min(limits)
    return max(1, round(shown[0] * scale)), max(1, round(shown[1] * scale))


def _webp_of_planes(frame: VideoFrame, size: tuple[int, int], quality: int) -> bytes:
    """Give the frame to libwebp without a detour over RGB, in the colour matrix and range that WebP prescribes."""
    pixels = "yuva420p" if _has_alpha(frame) else "yuv420p"
    scaled = _scaled(frame, size, pixels, dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG)
    encoder = CodecContext.create("libwebp", "w")
    encoder.width, encoder.height, encoder.pix_fmt = scaled.width, scaled.height, pixels
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"quality": str(quality), "compression_level": str(_WEBP_METHOD)}
    scaled.pts, scaled.time_base = 0, encoder.time_base
    return b"".join(bytes(packet) for packet in [*encoder.encode(scaled), *encoder.encode(None)])


def _image(frame: VideoFrame, size: tuple[int, int]) -> Image.Image:
    mode, pixels = ("RGBA", "rgba") if _has_alpha(frame) else ("RGB", "rgb24")
    plane = _scaled(frame, size, pixels, dst_color_range=ColorRange.JPEG).planes[0]
    return Image.frombuffer(mode, size, bytes(plane), "raw", mode, plane.line_size, 1)


def _scaled(frame: VideoFrame, size: tuple[int, int], pixels: str, **colours: Any) -> VideoFrame:
    """Scale and convert in one go. Untagged colours are read as ffmpeg reads them; HDR is brought down to SDR."""
    if frame.color_trc in _WIDE or frame.color_primaries == ColorPrimaries.BT2020:
        colours |= {"dst_color_trc": ColorTrc.BT709, "dst_color_primaries": ColorPrimaries.BT709}
    how = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    return frame.reformat(size[0], size[1], pixels, interpolation=how, threads=1, **colours)


def _has_alpha(frame: VideoFrame) -> bool:
    return frame.format.has_palette or any(one.is_alpha for one in frame.format.components)


def _encoded(image: Image.Image, format_: Format, quality: int) -> bytes:
    out = BytesIO()
    if format_ == "webp":
        image.save(out, "WEBP", quality=quality, method=_WEBP_METHOD)
    elif format_ == "png":
        image.save(out, "PNG")
    elif format_ == "avif":
        image.save(out, "AVIF", quality=quality)
    else:
        image = _on_black(image) if image.mode == "RGBA" else image
        image.save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()


def _on_black(image: Image.Image) -> Image.Image:
    """Drop transparency as a video player does: what is behind the picture is black."""
    return Image.composite(image.convert("RGB"), Image.new("RGB", image.size), image.getchannel("A"))
