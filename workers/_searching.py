"""Finding the best quality whose file is not larger than asked for, with few encodings."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import log

from workers._formats import Format

# How the logarithm of a file's size grows with the quality, counted from that of quality 75: of pictures of every kind
# much the same curve, only steeper or flatter. For each format pairs of quality and growth.
_CURVES: dict[Format, tuple[tuple[float, float], ...]] = {
    "webp": (
        *((0, -1.5), (5, -0.95), (20, -0.6), (40, -0.31), (60, -0.13), (75, 0.0)),
        *((85, 0.27), (93, 0.55), (98, 0.83), (100, 1.45)),
    ),
    "jpg": (
        *((0, -1.5), (10, -1.05), (20, -0.75), (40, -0.43), (60, -0.22), (75, 0.0)),
        *((85, 0.24), (93, 0.55), (98, 0.95), (100, 1.2)),
    ),
    "avif": (
        *((0, -1.9), (10, -1.65), (30, -1.08), (50, -0.52), (60, -0.3), (75, 0.0)),
        *((85, 0.19), (93, 0.4), (98, 0.65), (100, 0.9)),
    ),
}
# So many guesses by the curve; then halves, in case the picture is like no other.
_GUESSES = 7


class TooLargeAtAllError(Exception):
    """The file is too large even at the least quality."""

    def __init__(self, least_bytes: int) -> None:
        super().__init__(least_bytes)
        self.least_bytes = least_bytes


def best_quality(
    encode: Callable[[int], bytes], most_bytes: int, format_: Format, *, highest: int, first: int
) -> tuple[int, bytes]:
    """Return the best quality up to `highest` whose file has at most `most_bytes`, and that file.

    `first` is the quality that is tried first. The next better quality than the one returned has been tried too, and
    its file is larger. Raises TooLargeAtAllError.
    """
    sizes: dict[int, int] = {}
    fits, exceeds = -1, highest + 1
    best = b""
    quality = min(highest, first)
    while exceeds - fits > 1:
        data = encode(quality)
        sizes[quality] = len(data)
        if len(data) <= most_bytes:
            fits, best = quality, data
        else:
            exceeds = quality
        if len(sizes) < _GUESSES:
            known = {one: sizes[one] for one in (fits, exceeds) if one in sizes}
            guess = _guess(known, most_bytes, _CURVES[format_])
        else:
            guess = (fits + exceeds) // 2
        quality = min(max(guess, fits + 1), exceeds - 1)
    if fits < 0:
        raise TooLargeAtAllError(sizes[0])
    return fits, best


def _guess(sizes: dict[int, int], most_bytes: int, curve: Sequence[tuple[float, float]]) -> int:
    """Return where the wanted size lies on a curve through the one or two sizes that are known."""
    backwards = [(growth, quality) for quality, growth in curve]
    (quality, size), *others = sizes.items()
    missing = log(most_bytes / size)
    for other, its_size in others:
        grown = log(its_size / size)
        if grown:
            missing *= (_on(curve, other) - _on(curve, quality)) / grown
    return int(_on(backwards, _on(curve, quality) + missing))


def _on(curve: Sequence[tuple[float, float]], x: float) -> float:
    """Return the height of a rising line through the points, which goes on level before and after them."""
    if x <= curve[0][0]:
        return curve[0][1]
    if x >= curve[-1][0]:
        return curve[-1][1]
    (left, low), (right, high) = list(pairwise(curve))[bisect_right(curve, (x, float("inf"))) - 1]
    return low + (high - low) * (x - left) / (right - left)
