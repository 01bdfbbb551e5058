"""What a webp job does in its child process; the only door to Pillow for that type."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image, ImageFile

from workers._images import decoding, frame_count, is_animated, open_image, orientation, to_rgb
from workers._writing import write_file
from workers.webp import WebpPayload
from workplatform.errors import BadInputError, EncoderError

_MAX_SIDE = 16383
_VP8X, _VP8X_FLAGS, _ALPHA = slice(12, 16), 20, 0x10
_METHODS = {"fast": 2, "balanced": 4, "best": 6}
_ON_ITS_SIDE = frozenset(
    {
        Image.Transpose.ROTATE_90,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.TRANSVERSE,
    }
)


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written; `saved_bytes` is negative where the WebP is larger than its source."""

    size: int
    width: int
    height: int
    frames: int
    saved_bytes: int


def make_webp(source: Path, target: Path, payload: WebpPayload) -> Converted:
    """Convert the picture or animation to WebP and write it to `target`.

    Raises BadInputError, EncoderError, NoSpaceError.
    """
    name = PurePosixPath(payload.input_path).name
    with open_image(source, name) as image:
        layout = _Layout(image, name, payload.width, payload.height)
        data = _animation(image, layout, payload) if is_animated(image) else _still(image, layout, payload)
    with Image.open(BytesIO(data), formats=("WEBP",)) as made:
        frames = frame_count(made)
    write_file(target, data)
    saved = source.stat().st_size - len(data)
    return Converted(len(data), *layout.size, frames=frames, saved_bytes=saved)


class _Layout:
    """How the pixels of one file become those of its WebP: which way up, and how large."""

    def __init__(self, image: ImageFile.ImageFile, name: str, width: int | None, height: int | None) -> None:
        self.name = name
        with decoding(name):
            self._turn = orientation(image)
        upright = image.size[::-1] if self._turn in _ON_ITS_SIDE else image.size
        self.size = _fit(upright, width, height)
        self._coded_size = self.size[::-1] if self._turn in _ON_ITS_SIDE else self.size
        if max(self.size) > _MAX_SIDE:
            raise BadInputError(
                f"{name} is too long for WebP: {upright[0]} x {upright[1]} pixels, at most {_MAX_SIDE} a side; "
                "give a width or a height"
            )
        if self._coded_size != image.size:
            # JPEG decodes at half, quarter or eighth size for a fraction of the work; other formats ignore this.
            image.draft(None if image.mode == "CMYK" else image.mode, self._coded_size)

    def apply(self, image: Image.Image) -> tuple[Image.Image, bytes | None]:
        """Decode the current picture; return it as it shall look, and its colour profile."""
        with decoding(self.name):
            image.load()
            pixels, profile = to_rgb(image)
        if pixels.size != self._coded_size:
            # As good as bicubic when shrinking, at the cost of bilinear.
            pixels = pixels.resize(self._coded_size, Image.Resampling.HAMMING, reducing_gap=3.0)
        return (pixels if self._turn is None else pixels.transpose(self._turn)), profile


def _fit(size: tuple[int, int], width: int | None, height: int | None) -> tuple[int, int]:
    """Return `size` shrunk to fit into the box, never enlarged."""
    scale = min(1.0, (width or size[0]) / size[0], (height or size[1]) / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _still(image: ImageFile.ImageFile, layout: _Layout, payload: WebpPayload) -> bytes:
    pixels, profile = layout.apply(image)
    return _save(pixels, layout.name, payload, icc_profile=profile)


class _LaterFrames:
    """The frames after the first, decoded one at a time as Pillow's WebP writer asks for them.

    Given as Pillow images they would all be in memory at once. The writer needs no more of an image than this, and
    reads a frame's duration only after the frame, so `durations_ms` may grow as they are read.
    """

    def __init__(self, image: ImageFile.ImageFile, layout: _Layout, first: int, durations_ms: list[float]) -> None:
        self.n_frames = frame_count(image) - first
        self.mode = ""
        self.has_alpha = False
        self._image, self._layout, self._first, self._durations_ms = image, layout, first, durations_ms
        self._pixels: Image.Image | None = None

    def seek(self, frame: int) -> None:
        """Decode the given frame, counted from the first of these."""
        with decoding(self._layout.name):
            self._image.seek(self._first + frame)
        self._pixels, _ = self._layout.apply(self._image)
        self.mode = self._pixels.mode
        self.has_alpha = self.has_alpha or self.mode == "RGBA"
        self._durations_ms.append(self._image.info.get("duration", 0))

    def getim(self) -> Any:
        """Return the pixels as Pillow's encoders take them."""
        return self._pixels.getim() if self._pixels else None


def _animation(image: ImageFile.ImageFile, layout: _Layout, payload: WebpPayload) -> bytes:
    # The first picture of an APNG may be a poster for viewers that know no animation.
    first = 1 if getattr(image, "default_image", False) else 0
    with decoding(layout.name):
        image.seek(first)
    pixels, profile = layout.apply(image)
    durations_ms = [image.info.get("duration", 0)]
    later = _LaterFrames(image, layout, first + 1, durations_ms)
    data = _save(
        pixels.copy(),  # the file itself would count as all of its frames
        layout.name,
        payload,
        icc_profile=profile,
        save_all=True,
        append_images=[later],
        duration=durations_ms,
        loop=_plays(image),
        background=(0, 0, 0, 0),
    )
    return _marked_transparent(data) if pixels.mode == "RGBA" or later.has_alpha else data


def _marked_transparent(data: bytes) -> bytes:
    """Set the alpha flag of the file's VP8X chunk (RFC 9649, section 2.7).

    libwebp crops each frame to what changes; if no rectangle holds a transparent pixel it leaves the flag out, and
    viewers paint black where nothing was ever drawn.
    """
    if data[_VP8X] != b"VP8X":
        return data
    marked = bytearray(data)
    marked[_VP8X_FLAGS] |= _ALPHA
    return bytes(marked)


def _plays(image: Image.Image) -> int:
    """Return how often the animation plays, 0 for ever: a GIF counts repetitions, and without a count plays once."""
    loop = image.info.get("loop")
    if image.format != "GIF":
        return int(loop or 0)
    if loop is None:
        return 1
    return int(loop) + 1 if loop else 0


def _save(image: Image.Image, name: str, payload: WebpPayload, **options: Any) -> bytes:
    out = BytesIO()
    method = _METHODS[payload.effort]
    try:
        image.save(out, "WEBP", quality=payload.quality, lossless=payload.lossless, method=method, **options)
    except (OSError, ValueError) as error:
        raise EncoderError(f"{name} could not be encoded as WebP: {error}") from error
    return out.getvalue()
