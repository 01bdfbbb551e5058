"""Clocks that may begin anew within a file, as those of transport streams do where two recordings were joined."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from av.container import InputContainer
from av.stream import Stream

from workers._stream_ends import read_packets

# ffmpeg takes a longer step of one stream's clock for a clock that has begun anew, however its other streams go on.
_LEAP_S = 10.0
# Where nothing goes on that would tell, this long a leap is still taken for a picture that stands.
_LONGEST_PAUSE_S = 600.0
# Times are rounded, and ffmpeg compares with when a packet ends.
_SPARE_S = 1.0
# A clock that leaps more often tells nothing.
_MOST_LEAPS = 1000
# By so much a clock may go back, as far as ffmpeg is concerned.
_BACK_S = 0.1

_Leap = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a file in which it `begins_anew` or not; it has where it steps by more than `longest_step_s`.

    It goes for `lasting_s`, what it leaps over not counted.
    """

    longest_step_s: float
    begins_anew: bool
    lasting_s: float


@dataclass(slots=True)
class _Course:
    """What the streams of a file do, in seconds: their leaps, ends and lengths, and how late one comes in the file."""

    leaps: dict[int, list[_Leap]] = field(default_factory=lambda: defaultdict(list))
    ends: dict[int, float] = field(default_factory=dict)
    lasting: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    late_s: float = 0.0
    goes_back: bool = False


def read_clock(container: InputContainer, leading: Sequence[Stream]) -> Clock:
    """Find out how the clock goes that the `leading` streams have in common, by reading the whole file.

    It has begun anew where all of them leap alike, by more than ten seconds; if but one does while others go on, that
    one pauses. One that is alone pauses too, for ten minutes at most.
    """
    lead = [stream.index for stream in leading]
    course = _follow(container, lead)
    if any(len(leaps) > _MOST_LEAPS for leaps in course.leaps.values()):
        return Clock(_LEAP_S, begins_anew=True, lasting_s=0.0)
    anew = [leap for leap in course.leaps[lead[0]] if _is_anew(leap, course, lead[1:])]
    pauses = [
        _length_s(leap)
        for index, leaps in course.leaps.items()
        for leap in leaps
        if not _is_among(anew, leap) and (index in lead or _length_s(leap) < _LONGEST_PAUSE_S)
    ]
    longest_s = max(course.late_s, *pauses, 0.0) + _SPARE_S
    lasting_s = max(course.lasting[index] for index in lead) - sum(map(_length_s, anew))
    return Clock(max(_LEAP_S, longest_s), course.goes_back or bool(anew), lasting_s)


def _follow(container: InputContainer, lead: Sequence[int]) -> _Course:
    course = _Course()
    for packet in read_packets(container, [*container.streams.video, *container.streams.audio]):
        if packet.dts is None or not packet.time_base:
            continue
        index, next_s = packet.stream_index, float(packet.dts * packet.time_base)
        last_s = course.ends.get(index)
        if last_s is not None:
            if next_s - last_s > _LEAP_S and len(course.leaps[index]) <= _MOST_LEAPS:
                course.leaps[index].append((last_s, next_s))
            course.goes_back |= last_s - next_s > _BACK_S
            course.lasting[index] += max(0.0, next_s - last_s)
        elif index in lead:
            # Muxers put a picture that stands for long far behind the sound that goes with it.
            away_s = [abs(next_s - course.ends[other]) for other in lead if other in course.ends]
            course.late_s = max([course.late_s, *away_s])
        course.ends[index] = next_s
    return course


def _is_anew(leap: _Leap, course: _Course, others: Sequence[int]) -> bool:
    if others and all(_is_among(course.leaps[other], leap) for other in others):
        return True
    goes_on = any(course.ends.get(other, 0.0) > leap[0] + _LEAP_S for other in others)
    return _length_s(leap) > _LONGEST_PAUSE_S and not goes_on


def _is_among(leaps: Sequence[_Leap], leap: _Leap) -> bool:
    return any(abs(one[0] - leap[0]) < _LEAP_S and abs(one[1] - leap[1]) < _LEAP_S for one in leaps)


def _length_s(leap: _Leap) -> float:
    return leap[1] - leap[0]
