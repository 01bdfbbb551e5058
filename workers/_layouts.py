"""How the pixels of a file become those of its pictures: which way up, and how large."""

from collections.abc import Sequence

from PIL import Image, ImageFile

from workers._encodings import MAX_SIDES
from workers._formats import Format
from workers._images import decoding, orientation, to_rgb
from workers._turns import swapped
from workplatform.errors import BadInputError

Box = tuple[int | None, int | None]
"""The most that a picture may be wide and high, where that is limited."""


class Layout:
    """The sizes and the turn of the pictures that are made from one file; `sizes` are in the order of the boxes."""

    def __init__(self, image: ImageFile.ImageFile, name: str, boxes: Sequence[Box], format_: Format) -> None:
        self.name = name
        with decoding(name):
            self._turn = orientation(image)
        upright = swapped(image.size, self._turn)
        self.sizes = [_fit(upright, box) for box in boxes]
        largest = max(self.sizes)
        if max(largest) > MAX_SIDES[format_]:
            raise BadInputError(
                f"{name} is too long for {format_}: {upright[0]} x {upright[1]} pixels, at most {MAX_SIDES[format_]} a "
                "side; give a width or a height"
            )
        if largest != upright:
            # JPEG decodes at half, quarter or eighth size for a fraction of the work; other formats ignore this.
            image.draft(None if image.mode == "CMYK" else image.mode, swapped(largest, self._turn))

    def decoded(self, image: Image.Image) -> tuple[Image.Image, bytes | None]:
        """Decode the current picture; return its pixels as they are stored, and the colour profile they have now."""
        with decoding(self.name):
            image.load()
            return to_rgb(image)

    def shaped(self, pixels: Image.Image, number: int) -> Image.Image:
        """Return decoded pixels as large as the box of that number wants them, and upright."""
        size = swapped(self.sizes[number], self._turn)
        if pixels.size != size:
            # As good as bicubic when shrinking, at the cost of bilinear.
            pixels = pixels.resize(size, Image.Resampling.HAMMING, reducing_gap=3.0)
        return pixels if self._turn is None else pixels.transpose(self._turn)


def _fit(size: tuple[int, int], box: Box) -> tuple[int, int]:
    """Return `size` shrunk to fit into the box, never enlarged."""
    scale = min(1.0, (box[0] or size[0]) / size[0], (box[1] or size[1]) / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
