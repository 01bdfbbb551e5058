"""Opening a picture file safely, and bringing whatever is in it to upright RGB with or without transparency."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError

from workplatform.errors import BadInputError

# Formats decoded in this process alone; those that start a program (EPS) or draw on a huge canvas (WMF) are left out.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "PPM", "TGA", "JPEG2000", "ICO", "QOI")
_ANIMATED_FORMATS = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
MAX_PIXELS = 120_000_000
MAX_ANIMATED_PIXELS = 2_000_000_000

# What Pillow's decoders raise on files that are not what they say.
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SPACE_OF_PROFILE = slice(16, 20)
_MODES_OF_SPACE = {b"CMYK": "CMYK", b"GRAY": "L", b"Lab ": "LAB"}


@contextmanager
def open_image(path: Path, name: str) -> Iterator[ImageFile.ImageFile]:
    """Open the picture at `path`, whose user calls it `name`; nothing but its header is read.

    Raises BadInputError if it is no picture, or holds more pixels than can be decoded safely.
    """
    with decoding(name):
        image = _identify(path, name)
    with image:
        with decoding(name):
            _refuse_bombs(image, name)
        yield image


def _identify(path: Path, name: str) -> ImageFile.ImageFile:
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    Image.init()
    if not path.stat().st_size:
        raise BadInputError(f"not an image: {name} is empty")
    try:
        return Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise BadInputError(f"not an image that can be read: {name}") from error


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn what a decoder raises into a BadInputError about the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadInputError(f"{name} is too large: {_ALLOWED}") from error
    except _DECODE_ERRORS as error:
        raise BadInputError(f"damaged image: {name} is cut off or broken ({error})") from error


_ALLOWED = f"at most {MAX_PIXELS // 1_000_000} megapixels are decoded"


def _refuse_bombs(image: ImageFile.ImageFile, name: str) -> None:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise BadInputError(f"{name} is too large: {image.width} x {image.height} pixels, {_ALLOWED}")
    if is_animated(image) and pixels * frame_count(image) > MAX_ANIMATED_PIXELS:
        most = f"{MAX_ANIMATED_PIXELS // 1_000_000} megapixels"
        raise BadInputError(f"{name} is too large: {frame_count(image)} frames of {pixels} pixels, at most {most}")


def frame_count(image: Image.Image) -> int:
    """Return the number of pictures in the file."""
    return int(getattr(image, "n_frames", 1))


def is_animated(image: Image.Image) -> bool:
    """Whether its pictures are an animation; the pages of a TIFF and the halves of a stereo photo are not."""
    return image.format in _ANIMATED_FORMATS and frame_count(image) > 1


def orientation(image: Image.Image) -> Image.Transpose | None:
    """Return the turn that makes the picture upright. Pillow turns TIFF files by itself."""
    if image.format == "TIFF":
        return None
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (SyntaxError, ValueError, KeyError, struct.error):
        return None


def to_rgb(image: Image.Image) -> tuple[Image.Image, bytes | None]:
    """Return the picture as RGB or RGBA in 8 bits, and the colour profile that then belongs to it."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    space = profile[_SPACE_OF_PROFILE] if profile else b""
    if space == b"RGB ":
        return _plain_rgb(image), profile
    if _MODES_OF_SPACE.get(space) == image.mode:
        converted = _through_profile(image, BytesIO(profile or b""))
    elif image.mode == "LAB":
        converted = _through_profile(image, ImageCms.createProfile("LAB"))
    else:
        converted = image
    return _plain_rgb(converted), None


def _plain_rgb(image: Image.Image) -> Image.Image:
    wanted = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def _through_profile(image: Image.Image, profile: Any) -> Image.Image:
    try:
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:
        return image
    return converted or image


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16 bits to 8; 32-bit and floating-point pictures by what their values show their range to be."""
    if image.mode == "F":
        # Clipped to whole numbers from 0 to 255, which are not misled by what is infinite or no number.
        factor = 1.0 if any(image.convert("L").histogram()[2:255]) else 255.0
        flat = image
    else:
        _, high = image.getextrema()
        is_deep = image.mode.startswith("I;16") or (isinstance(high, int | float) and high > 255)
        factor = 255 / 65535 if is_deep else 1.0
        flat = image.convert("I").convert("F")
    return flat.point(lambda value: value * factor + 0.5).convert("L")
