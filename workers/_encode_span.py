"""Which part of a video is taken, and how ffmpeg gets there."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from workers._encode_models import Trim
from workers._moments import parse_moment
from workplatform.errors import BadInputError

# Demuxers whose seeks end at or before the moment asked for. With the others ffmpeg starts this much earlier and
# decodes the rest away, lest a keyframe that it guessed lies behind the start.
_INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
_RUN_UP_S = 15.0
# Times counted more coarsely (in frames, as AVI, MXF and Ogg do) cannot be moved by what is between two of them.
_COARSE_TICK = Fraction(1, 1000)
_NEARLY = Fraction(1, 100)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a video, in seconds: `seek_s` is skipped by a seek, then `run_up_s` by decoding.

    `length_s` is the length asked for, None for all the rest; `expected_s` is what to expect, None if unknown.
    """

    seek_s: float = 0.0
    run_up_s: float = 0.0
    length_s: float | None = None
    expected_s: float | None = None

    @property
    def start_s(self) -> float:
        """Where it starts."""
        return self.seek_s + self.run_up_s


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
    run_up_s = 0.0 if container in _INDEXED else min(start_s, _next_tick(_RUN_UP_S, tick))
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
