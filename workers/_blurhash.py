"""BlurHash: a picture in some thirty characters, for a blurred stand-in while the real one is loading.

The algorithm is that of https://github.com/woltapp/blurhash/blob/master/Algorithm.md. Its sums over all pixels are
taken line by line and then over the lines, which are the same sums for a fraction of the multiplications.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import copysign, cos, floor, pi
from operator import mul

SMALL_SIDE = 32
"""Pixels of a picture's longer side that the hash needs: it keeps four waves of them."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
_LONG, _SHORT = 4, 3


def _linear(value: int) -> float:
    """Return the light of an sRGB value, 0 to 1 (IEC 61966-2-1)."""
    share = value / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


_LINEAR = tuple(_linear(value) for value in range(256))


def blurhash(rgb: bytes, width: int, height: int) -> str:
    """Return the hash of a small picture given as RGB, 8 bits each: four by three waves, the more the longer way."""
    across, down = (_LONG, _SHORT) if width >= height else (_SHORT, _LONG)
    channels = [_waves(rgb[channel::3], width, height, (across, down)) for channel in range(3)]
    steady, *waves = zip(*channels, strict=True)
    largest = max(abs(value) for wave in waves for value in wave)
    scale = max(0, min(82, floor(largest * 166 - 0.5)))
    digits = [_base83(across - 1 + (down - 1) * 9, 1), _base83(scale, 1), _base83(_packed_colour(steady), 4)]
    digits += [_base83(_packed_wave(wave, (scale + 1) / 166), 2) for wave in waves]
    return "".join(digits)


def _waves(values: bytes, width: int, height: int, counts: tuple[int, int]) -> list[float]:
    """Return the shares of the waves in one channel, the steady one first, line by line."""
    light = [_LINEAR[value] for value in values]
    lines = [light[start : start + width] for start in range(0, width * height, width)]
    across, down = _cosines(width, counts[0]), _cosines(height, counts[1])
    columns = [[sum(map(mul, line, wave)) for line in lines] for wave in across]
    found = [sum(map(mul, column, wave)) / (width * height) for wave in down for column in columns]
    return [found[0], *(2 * value for value in found[1:])]


@lru_cache(maxsize=64)
def _cosines(length: int, count: int) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(cos(pi * wave * place / length) for place in range(length)) for wave in range(count))


def _packed_colour(light: Sequence[float]) -> int:
    red, green, blue = (_srgb(value) for value in light)
    return red << 16 | green << 8 | blue


def _srgb(light: float) -> int:
    within = max(0.0, min(1.0, light))
    share = within * 12.92 if within <= 0.0031308 else 1.055 * within ** (1 / 2.4) - 0.055
    return int(share * 255 + 0.5)


def _packed_wave(shares: Sequence[float], largest: float) -> int:
    """Return the three channels of a wave, in 19 steps each, finer near zero."""
    red, green, blue = (
        max(0, min(18, floor(copysign((abs(share) / largest) ** 0.5, share) * 9 + 9.5))) for share in shares
    )
    return (red * 19 + green) * 19 + blue


def _base83(value: int, length: int) -> str:
    return "".join(_DIGITS[value // 83**place % 83] for place in reversed(range(length)))
