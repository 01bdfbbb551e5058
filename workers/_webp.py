"""What a webp job does in its child process; the only door to Pillow for that type."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageFile

from workers._animations import encode_animation
from workers._encodings import WHITE, Encoding, on_background
from workers._formats import Format
from workers._images import frame_count, is_animated, open_image
from workers._layouts import Layout
from workers._quantities import in_words
from workers._searching import TooLargeAtAllError, best_quality
from workers._writing import write_file
from workers.webp import WebpPayload
from workplatform.errors import BadInputError, EncoderError
from workplatform.storage.uris import file_name

# Where the search for a target size begins.
_USUAL_QUALITY = 75
_MOVING = frozenset({"webp", "avif"})


@dataclass(frozen=True, slots=True)
class Written:
    """A picture that was written; `quality` is None where the format knows none."""

    size: int
    width: int
    height: int
    quality: int | None


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written, in the order of the targets; `saved_bytes` of the first is negative where it grew.

    `left_out` counts the frames of an animation of which only the first picture was taken.
    """

    pictures: tuple[Written, ...]
    frames: int
    saved_bytes: int
    left_out: int


_Encode = Callable[[Encoding], bytes]


def make_webp(source: Path, targets: Sequence[Path], payload: WebpPayload) -> Converted:
    """Convert the picture or animation; write it to the first target, and its variants to the others.

    Raises BadInputError, EncoderError, NoSpaceError.
    """
    name = file_name(payload.input_path)
    boxes = [(payload.width, payload.height), *((variant.width, None) for variant in payload.variants)]
    written: list[Written] = []
    frames, left_out = 1, 0
    with open_image(source, name) as image:
        layout = Layout(image, name, boxes, payload.format)
        is_moving = is_animated(image) and payload.format in _MOVING
        if is_animated(image) and not is_moving:
            left_out = frame_count(image) - 1
        encoders = _moving(image, layout) if is_moving else _still(image, layout, payload.format)
        for target, size, encode in zip(targets, layout.sizes, encoders, strict=True):
            highest = written[0].quality if written else None
            data, quality = _encoded(encode, payload, f"{name} at {size[0]} x {size[1]}", highest)
            write_file(target, data)
            frames = _frames_of(data) if is_moving and not written else frames
            written.append(Written(len(data), *size, quality=quality))
    saved = source.stat().st_size - written[0].size
    return Converted(tuple(written), frames=frames, saved_bytes=saved, left_out=left_out)


def _still(image: ImageFile.ImageFile, layout: Layout, format_: Format) -> Iterator[_Encode]:
    """Decode once; yield what encodes the picture of each box."""
    pixels, profile = layout.decoded(image)
    if format_ == "jpg":
        pixels = on_background(pixels, WHITE)
    if format_ == "avif" and pixels is image:
        pixels = pixels.copy()  # the file itself would count as all of its pictures
    for number in range(len(layout.sizes)):
        yield partial(_encode_still, layout.shaped(pixels, number), profile)


def _encode_still(pixels: Image.Image, profile: bytes | None, encoding: Encoding) -> bytes:
    return encoding.encode(pixels, icc_profile=profile)


def _moving(image: ImageFile.ImageFile, layout: Layout) -> Iterator[_Encode]:
    for number in range(len(layout.sizes)):
        yield partial(encode_animation, image, layout, number)


def _encoded(encode: _Encode, payload: WebpPayload, what: str, highest: int | None) -> tuple[bytes, int | None]:
    """Return the file and its quality; with a target size the best up to `highest`, that of the main picture."""
    encoding = Encoding(payload.format, payload.quality, payload.effort, payload.lossless)
    try:
        if payload.target_size is None:
            return encode(encoding), None if payload.is_lossless else payload.quality
        quality, data = best_quality(
            lambda quality: encode(replace(encoding, quality=quality)),
            payload.target_size,
            payload.format,
            highest=payload.highest_quality if highest is None else highest,
            first=_USUAL_QUALITY if highest is None else highest,
        )
    except TooLargeAtAllError as error:
        least = in_words(error.least_bytes)
        raise BadInputError(
            f"targetSize: {what} has at least {least} bytes as {payload.format}: give a smaller width, or {least}"
        ) from None
    except (OSError, ValueError) as error:
        raise EncoderError(f"{what} could not be encoded as {payload.format}: {error}") from error
    return data, quality


def _frames_of(data: bytes) -> int:
    with Image.open(BytesIO(data), formats=("WEBP", "AVIF")) as made:
        return frame_count(made)
