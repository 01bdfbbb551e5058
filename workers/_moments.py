"""Moments in a video as people write them: seconds, clock time or a share of the duration."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_SECONDS = re.compile(_NUMBER)
_PERCENT = re.compile(rf"({_NUMBER})%")
_CLOCK = re.compile(rf"(?:([0-9]{{1,6}}):)?([0-9]{{1,6}}):({_NUMBER})")


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in a video, counted from its start; exact, so that 0.1 is the frame at 1/10 s and not the one before.

    `value` is in seconds, or a share from 0 to 1 of the video's duration.
    """

    value: Fraction
    is_share: bool = False

    def seconds(self, duration: Fraction) -> Fraction:
        """Return the seconds from the start of a video that lasts `duration` seconds."""
        return self.value * duration if self.is_share else self.value


def number_as_text(value: Any) -> Any:
    """Return a number of JSON as a text that can be read here; leave all else as it is."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(value)
    return f"{value:.9f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def parse_moment(text: str) -> Moment:
    """Read `12.5`, `01:30`, `00:00:01.5` or `50%`.

    Raises ValueError with a sentence for a person.
    """
    word = text.strip()
    if _SECONDS.fullmatch(word):
        return Moment(Fraction(word))
    if percent := _PERCENT.fullmatch(word):
        share = Fraction(percent[1]) / 100
        if share > 1:
            raise ValueError(f"{text!r} is more than 100%")
        return Moment(share, is_share=True)
    if clock := _CLOCK.fullmatch(word):
        hours, minutes, seconds = int(clock[1] or 0), int(clock[2]), Fraction(clock[3])
        if seconds < 60 and (minutes < 60 or clock[1] is None):
            return Moment(hours * 3600 + minutes * 60 + seconds)
    raise ValueError(f"{text!r} is no timestamp: write seconds (12.5), a clock time (00:00:01) or a share (50%)")
