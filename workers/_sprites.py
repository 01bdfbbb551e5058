"""The plan of a storyboard: where on which sheet each picture is, and the WebVTT file that tells players so."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

SheetFormat = Literal["jpg", "webp"]
CUES = "storyboard.vtt"
OWNED = (CUES, "sprite_*.jpg", "sprite_*.webp")

# The side is WebP's limit. Browsers decode whole sheets, phones none above 16 megapixels.
MAX_SIDE = 16383
_MAX_PIXELS = 1 << 24
_MOST_ROWS = 10


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the pictures are: their number, size in pixels, and places on the sheets."""

    count: int
    width: int
    height: int
    columns: int
    format: SheetFormat

    @property
    def rows(self) -> int:
        """Rows of a full sheet."""
        row_pixels = self.columns * self.width * self.height
        return max(1, min(_MOST_ROWS, MAX_SIDE // self.height, _MAX_PIXELS // row_pixels))

    @property
    def per_sheet(self) -> int:
        """Pictures on a full sheet."""
        return self.columns * self.rows

    @property
    def sheets(self) -> list[str]:
        """Names of the sheets, in order."""
        return [f"sprite_{number:03}.{self.format}" for number in range(-(-self.count // self.per_sheet))]

    def corner(self, number: int) -> tuple[int, int]:
        """Return where on its sheet a picture's upper left corner is."""
        row, column = divmod(number % self.per_sheet, self.columns)
        return column * self.width, row * self.height


def webvtt(grid: Grid, interval: Fraction, duration: Fraction) -> str:
    """Return the cues: each picture has its interval, the last one what is left of the duration (both in seconds)."""
    return "\n".join(["WEBVTT", *_cues(grid, interval, duration), ""])


def _cues(grid: Grid, interval: Fraction, duration: Fraction) -> Iterator[str]:
    sheets, start = grid.sheets, _clock(Fraction(0))
    for number in range(grid.count):
        end = _clock(duration if number + 1 == grid.count else interval * (number + 1))
        x, y = grid.corner(number)
        place = f"{sheets[number // grid.per_sheet]}#xywh={x},{y},{grid.width},{grid.height}"
        yield f"\n{start} --> {end}\n{place}"
        start = end


def _clock(seconds: Fraction) -> str:
    """Write a moment as WebVTT does (W3C WebVTT, 3.3): hours, minutes, seconds and thousandths."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}.{thousandths:03}"
