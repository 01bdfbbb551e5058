"""Encoding pictures: what quality and effort mean in each format."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

from PIL import Image

from workers._formats import Format

Effort = Literal["fast", "balanced", "best"]

MAX_SIDES: dict[Format, int] = {"webp": 16383, "jpg": 65500, "png": 65535, "avif": 32768}
"""Pixels that a side may have: the most of WebP and JPEG, and what readers of PNG and AVIF take."""

BLACK, WHITE = (0, 0, 0), (255, 255, 255)

_NAMES: dict[Format, str] = {"webp": "WEBP", "jpg": "JPEG", "png": "PNG", "avif": "AVIF"}
_EFFORTS: dict[Format, dict[Effort, dict[str, Any]]] = {
    "webp": {"fast": {"method": 2}, "balanced": {"method": 4}, "best": {"method": 6}},
    "avif": {"fast": {"speed": 8}, "balanced": {"speed": 6}, "best": {"speed": 4}},
    "jpg": {"fast": {}, "balanced": {"optimize": True}, "best": {"optimize": True, "progressive": True}},
    "png": {"fast": {"compress_level": 1}, "balanced": {}, "best": {"optimize": True}},
}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How pictures are written; `quality` is 0 to 100, and `lossless` is for WebP."""

    format: Format
    quality: int
    effort: Effort = "balanced"
    lossless: bool = False

    def encode(self, image: Image.Image, **options: Any) -> bytes:
        """Return the file; further options are those of Pillow's encoder. Raises OSError or ValueError."""
        if self.format != "png":
            options["quality"] = self.quality
        if self.format == "webp":
            options["lossless"] = self.lossless
            options["exact"] = self.lossless  # else what is transparent becomes black
        if self.format == "jpg":
            options["comment"] = None  # else that of the source goes along
        out = BytesIO()
        image.save(out, _NAMES[self.format], **_EFFORTS[self.format][self.effort], **options)
        return out.getvalue()


def on_background(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """Return the picture as it looks in front of a colour, without transparency."""
    if image.mode != "RGBA":
        return image
    return Image.composite(image.convert("RGB"), Image.new("RGB", image.size, colour), image.getchannel("A"))
