"""Which part of a video is taken, and how ffmpeg gets there."""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

from workers._encode_models import Trim
from workers._encode_openings import Opening
from workers._moments import parse_moment
from workers._video import is_indexed
from workplatform.errors import BadInputError

# Where a file has no index ffmpeg starts this much earlier and decodes the rest away, lest a keyframe that it guessed
# lies behind the start.
_RUN_UP_S = 15.0
# So much before a keyframe a seek surely lands before it.
_BEFORE_KEYFRAME_S = 1.0
# A part whose first picture would come later begins with the one that is on screen.
_LATE_S = 0.1
# Times counted more coarsely (in frames, as AVI, MXF and Ogg do) cannot be moved by what is between two of them.
_COARSE_TICK = Fraction(1, 1000)
_NEARLY = Fraction(1, 100)
# Less than the distance of any two pictures.
_ROUNDING_S = 0.0005


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a video, in seconds: `seek_s` is skipped by a seek, then `run_up_s` by decoding.

    `length_s` is the length asked for, None for all the rest; `expected_s` is what to expect, None if unknown. `held_s`
    is how long its first picture has been on screen by then, None if it begins with the part.
    """

    seek_s: float = 0.0
    run_up_s: float = 0.0
    length_s: float | None = None
    expected_s: float | None = None
    held_s: float | None = None

    @property
    def start_s(self) -> float:
        """Where it starts."""
        return self.seek_s + self.run_up_s

    @property
    def filters(self) -> list[str]:
        """The filters of ffmpeg that leave the part over of what is decoded, its first picture at its start."""
        end = "" if self.length_s is None else f":end={self.run_up_s + self.length_s:.6f}"
        if self.held_s is None:
            start = f":start={self.run_up_s:.6f}" if self.run_up_s else ""
            return [f"trim={(start + end)[1:]}"] if start or end else []
        held = f"setpts='max(PTS,round({self.run_up_s:.6f}/TB))'"
        return [f"trim=start={self.run_up_s - self.held_s - _ROUNDING_S:.6f}{end}", held]


def open_at(span: Span, opening: Opening, tick: Fraction) -> Span:
    """Return the part with what the packets tell about its start, in a video whose times are multiples of `tick`."""
    start_s = span.start_s
    late_s = _LATE_S if span.length_s is None else min(_LATE_S, span.length_s)
    is_late = opening.next_s is None or opening.next_s - start_s >= late_s
    held_s = start_s - opening.shown_s
    return replace(
        run_up(span, opening, tick) if span.run_up_s else span,
        held_s=held_s if is_late and held_s > _ROUNDING_S else None,
    )


def run_up(span: Span, opening: Opening, tick: Fraction) -> Span:
    """Return the part with its decoding from the keyframe on, where a seek would not find it."""
    start_s = span.start_s
    to_keyframe_s = start_s - opening.key_s + _BEFORE_KEYFRAME_S
    run_up_s = min(start_s, max(span.run_up_s, _next_tick(to_keyframe_s, tick)))
    return replace(span, seek_s=start_s - run_up_s, run_up_s=run_up_s)


def span_of(trim: Trim | None, container: str, duration_s: float | None, tick: Fraction) -> Span:
    """Return the part that is asked for of a video whose times are multiples of `tick` seconds.

    Raises BadInputError if there is nothing of it in the video.
    """
    if trim is None:
        return Span(expected_s=duration_s)
    start_s = _seconds(trim.start, duration_s)
    end_s = None if trim.end is None else _seconds(trim.end, duration_s)
    if duration_s is not None and start_s >= duration_s:
        raise BadInputError(
            f"trim.start: {trim.start} is not before the end of the video, which lasts {duration_s:.3f} s"
        )
    # The same pictures: the first one is the first that is not before it.
    start_s, end_s = _next_tick(start_s, tick), None if end_s is None else _next_tick(end_s, tick)
    if end_s is not None and end_s <= start_s:
        raise BadInputError(f"trim ends at {end_s:.3f} s, not after its start at {start_s:.3f} s")
    length_s = None if end_s is None else end_s - start_s
    rest_s = None if duration_s is None else duration_s - start_s
    known = [length for length in (length_s, rest_s) if length is not None]
    run_up_s = 0.0 if is_indexed(container) else min(start_s, _next_tick(_RUN_UP_S, tick))
    return Span(start_s - run_up_s, run_up_s, length_s, min(known, default=None))


def _next_tick(seconds: float, tick: Fraction) -> float:
    return seconds if tick <= _COARSE_TICK else float(ceil(Fraction(seconds) / tick - _NEARLY) * tick)


def _seconds(text: str, duration_s: float | None) -> float:
    moment = parse_moment(text)
    if not moment.is_share:
        return float(moment.value)
    if duration_s is None:
        raise BadInputError(f"trim: {text} of a video whose length is not known; give seconds")
    return float(moment.seconds(Fraction(duration_s)))
