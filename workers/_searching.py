"""Finding the best quality whose file is not larger than asked for, with few encodings."""

from collections.abc import Callable
from math import log

# How the logarithm of a file's size grows with the quality where nothing is known yet.
_GROWTH = 0.03
# So many guesses by the sizes found; then halves, in case these mislead.
_GUESSES = 6


class TooLargeAtAllError(Exception):
    """The file is too large even at the least quality."""

    def __init__(self, least_bytes: int) -> None:
        super().__init__(least_bytes)
        self.least_bytes = least_bytes


def best_quality(encode: Callable[[int], bytes], most_bytes: int, *, highest: int, first: int) -> tuple[int, bytes]:
    """Return the best quality up to `highest` whose file has at most `most_bytes`, and that file.

    `first` is the quality that is tried first. The next better quality has been tried, and its file is larger. Raises
    TooLargeAtAllError.
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
        guess = _guess(sizes, fits, exceeds, most_bytes) if len(sizes) < _GUESSES else (fits + exceeds) // 2
        quality = min(max(guess, fits + 1), exceeds - 1)
    if fits < 0:
        raise TooLargeAtAllError(sizes[0])
    return fits, best


def _guess(sizes: dict[int, int], fits: int, exceeds: int, most_bytes: int) -> int:
    """Return where the wanted size lies by the nearest sizes that are known: qualities add up, sizes multiply."""
    if fits not in sizes:
        return int(exceeds - log(sizes[exceeds] / most_bytes) / _GROWTH)
    missing = log(most_bytes / sizes[fits])
    if exceeds not in sizes:
        return int(fits + missing / _GROWTH)
    growth = log(sizes[exceeds] / sizes[fits]) / (exceeds - fits)
    return int(fits + missing / growth)
