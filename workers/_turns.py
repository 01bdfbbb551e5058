"""Turning pictures upright."""

from PIL import Image

ON_ITS_SIDE = frozenset(
    {
        Image.Transpose.ROTATE_90,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.TRANSVERSE,
    }
)
"""The turns that swap width and height."""


def swapped(size: tuple[int, int], turn: Image.Transpose | None) -> tuple[int, int]:
    """Return the size that a picture has after the turn, or had before it."""
    return size[::-1] if turn in ON_ITS_SIDE else size
