"""Encoding animations with no more than one frame in memory: frames, times and repetitions as in the source."""

from typing import Any

from PIL import Image, ImageFile

from workers._encodings import Encoding
from workers._images import decoding, frame_count
from workers._layouts import Layout

_VP8X, _VP8X_FLAGS, _ALPHA = slice(12, 16), 20, 0x10
# A GIF's frame of no duration is shown so long by browsers; AVIF has no such frames.
_SHORTEST_MS = 100


class _LaterFrames:
    """The frames after the first, decoded one at a time as Pillow's writers of WebP and AVIF ask for them.

    Given as Pillow images they would all be in memory at once. The writers need no more of an image than this, and
    read a frame's duration only after the frame, so `durations_ms` may grow as they are read.
    """

    has_transparency_data = False

    def __init__(self, frames: "_Frames", first: int) -> None:
        self.n_frames = frames.count - first
        self.mode = ""
        self.size = frames.size
        self.has_alpha = False
        self._frames, self._first = frames, first
        self._pixels: Image.Image | None = None

    def seek(self, frame: int) -> None:
        """Decode the given frame, counted from the first of these. Raises EOFError after the last."""
        if frame >= self.n_frames:
            raise EOFError
        self._pixels, _ = self._frames.take(self._first + frame)
        self.mode = self._pixels.mode
        self.has_alpha = self.has_alpha or self.mode == "RGBA"

    def getim(self) -> Any:
        """Return the pixels as Pillow's encoders take them."""
        return self._pixels.getim() if self._pixels else None

    def tobytes(self, *arguments: Any) -> bytes:
        """Return the pixels as bytes."""
        return self._pixels.tobytes(*arguments) if self._pixels else b""


class _Frames:
    """The frames of a file as they shall look, and how long each of those taken so far is shown."""

    def __init__(self, image: ImageFile.ImageFile, layout: Layout, number: int, *, for_avif: bool) -> None:
        self.count = frame_count(image)
        self.size = layout.sizes[number]
        self.durations_ms: list[float] = []
        self._image, self._layout, self._number, self._for_avif = image, layout, number, for_avif

    def take(self, place: int) -> tuple[Image.Image, bytes | None]:
        """Decode a frame; return its pixels and their colour profile."""
        with decoding(self._layout.name):
            self._image.seek(place)
        pixels, profile = self._layout.decoded(self._image)
        duration_ms = self._image.info.get("duration", 0)
        if self._for_avif:
            # All frames of an AVIF have transparency or none has, and later ones are not known yet.
            pixels, duration_ms = pixels.convert("RGBA"), round(duration_ms) or _SHORTEST_MS
        self.durations_ms.append(duration_ms)
        return self._layout.shaped(pixels, self._number), profile


def encode_animation(image: ImageFile.ImageFile, layout: Layout, number: int, encoding: Encoding) -> bytes:
    """Return an animation as WebP or AVIF, its frames shaped for the box of that number.

    Raises BadInputError for a source that is damaged, OSError or ValueError where the encoder fails.
    """
    # The first picture of an APNG may be a poster for viewers that know no animation.
    first = 1 if getattr(image, "default_image", False) else 0
    frames = _Frames(image, layout, number, for_avif=encoding.format == "avif")
    pixels, profile = frames.take(first)
    later = _LaterFrames(frames, first + 1)
    options: dict[str, Any] = {"save_all": True, "append_images": [later], "duration": frames.durations_ms}
    if encoding.format == "webp":
        options |= {"loop": _plays(image), "background": (0, 0, 0, 0)}
    # A copy, as the file itself would count as all of its frames.
    data = encoding.encode(pixels.copy(), icc_profile=profile, **options)
    is_transparent = pixels.mode == "RGBA" or later.has_alpha
    return _marked_transparent(data) if encoding.format == "webp" and is_transparent else data


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
