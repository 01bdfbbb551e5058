"""Choosing the parts of a video that are worth a look: where a picture tells something, and something moves in it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from PIL import Image, ImageChops, ImageStat

# Beginnings and ends are titles and credits; of a video little longer than its clip less is left out.
_MARGIN = Fraction(1, 10)
_LOOKS = 24
_FEWEST_LOOKS = 6
_MOST_LOOKS = 64
_CANDIDATES = 3
# Grey levels by which a picture differs from itself a moment later, where that counts as lively.
LIVELY = 6.0
_STILL_WORTH = 0.25
_EDGE_WORTH = 0.85
# What tells less than this share of what the best picture tells is no better than nothing.
_DULL = 0.1


@dataclass(frozen=True, slots=True)
class Section:
    """The part of the video that one cut is taken from: it may start from `first` to `last`, in seconds."""

    first: Fraction
    last: Fraction


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible start of a cut in seconds, and how much the picture there tells, from 0 to 1."""

    start: Fraction
    telling: float


def sections(length: Fraction, duration: Fraction, cuts: int) -> list[Section]:
    """Share out the video, without its margins, among the cuts of a clip that is shorter than it."""
    margin = min(length * _MARGIN, (length - duration) / 2)
    whole = (length - 2 * margin) / cuts
    each = duration / cuts
    starts = [margin + whole * number for number in range(cuts)]
    return [Section(start, start + whole - each) for start in starts]


def moments(part: Section, parts: int) -> list[Fraction]:
    """Return the moments, ascending, at which to look at one of so many parts."""
    count = max(_FEWEST_LOOKS, min(_LOOKS, _MOST_LOOKS // parts))
    return [part.first + (part.last - part.first) * Fraction(2 * number + 1, 2 * count) for number in range(count)]


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return by how many grey levels two pictures differ on average."""
    return float(ImageStat.Stat(ImageChops.difference(one.convert("L"), other.convert("L"))).mean[0])


def best_starts(
    parts: Sequence[Section], candidates: Sequence[Candidate], motion: Callable[[Fraction], float], *, apart: Fraction
) -> Iterator[Fraction]:
    """Yield a start for each section, the best one; `motion` tells what moves there, and is asked for the few best.

    A section without candidates, as behind a broken tail or all in the dark, gets one of another that is `apart` from
    all those taken.
    """
    least = _DULL * max((one.telling for one in candidates), default=0.0)
    taken: list[Fraction] = []
    lacking: list[Section] = []
    for part in parts:
        found = [one for one in candidates if part.first <= one.start <= part.last and one.telling >= least]
        best = sorted(found, key=lambda one: (-_worth(one, part), _off_middle(one, part), one.start))[:_CANDIDATES]
        lively = {one: _worth(one, part) * _liveliness(motion(one.start)) for one in best}
        if lively:
            taken.append(max(lively, key=lambda one: lively[one]).start)
            yield taken[-1]
        else:
            lacking.append(part)
    for part in lacking:
        free = [one for one in candidates if all(abs(one.start - start) >= apart for start in taken)]
        taken.append(max(free, key=lambda one: one.telling).start if free else (part.first + part.last) / 2)
        yield taken[-1]


def _worth(one: Candidate, part: Section) -> float:
    """Rate a candidate; of equals the one nearer to the middle is better."""
    return one.telling * (1 - (1 - _EDGE_WORTH) * _off_middle(one, part))


def _off_middle(one: Candidate, part: Section) -> float:
    half = (part.last - part.first) / 2
    return float(abs(one.start - part.first - half) / half) if half else 0.0


def _liveliness(motion: float) -> float:
    return _STILL_WORTH + (1 - _STILL_WORTH) * min(1.0, motion / LIVELY)
