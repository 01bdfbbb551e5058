"""Clocks that may begin anew within a file, as those of transport streams do where two recordings were joined."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.stream import Discard, Stream

from workers._video import rewind

# ffmpeg takes a longer step of one stream's clock for a clock that has begun anew, however its other streams go on.
_LEAP_S = 10.0
# Where there is no sound to tell, this long a leap is still taken for a picture that stands.
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
    """The clock of a file in which it `begins_anew` or not; it has where it steps by more than `longest_step_s`."""

    longest_step_s: float
    begins_anew: bool


def read_clock(container: InputContainer, leading: Sequence[Stream]) -> Clock:
    """Find out how the clock goes that the `leading` streams have in common, by reading the whole file.

    It has begun anew where all of them leap alike, by more than ten seconds; if but one does, that one pauses. One that
    leads alone pauses too, for ten minutes at most.
    """
    leaps: dict[int, list[_Leap]] = defaultdict(list)
    last: dict[int, float] = {}
    lead = [stream.index for stream in leading]
    longest_s, begins_anew = 0.0, False
    for index, next_s in _moments(container):
        if index in last:
            if next_s - last[index] > _LEAP_S:
                leaps[index].append((last[index], next_s))
            begins_anew |= last[index] - next_s > _BACK_S
        elif index in lead:
            # Muxers put a picture that stands for long far behind the sound that goes with it.
            longest_s = max([longest_s, *(abs(next_s - last[other]) for other in lead if other in last)])
        if len(leaps[index]) > _MOST_LEAPS:
            return Clock(_LEAP_S, begins_anew=True)
        last[index] = next_s
    first, *others = (leaps[index] for index in lead)
    if others:
        anew = [leap for leap in first if all(_is_among(other, leap) for other in others)]
    else:
        anew = [leap for leap in first if leap[1] - leap[0] > _LONGEST_PAUSE_S]
    pauses = [leap for of_one in leaps.values() for leap in of_one if not _is_among(anew, leap)]
    longest_s = max([longest_s, *(after_s - before_s for before_s, after_s in pauses)])
    return Clock(max(_LEAP_S, longest_s + _SPARE_S), begins_anew or bool(anew))


def _is_among(leaps: Sequence[_Leap], leap: _Leap) -> bool:
    return any(abs(one[0] - leap[0]) < _LEAP_S and abs(one[1] - leap[1]) < _LEAP_S for one in leaps)


def _moments(container: InputContainer) -> Iterator[tuple[int, float]]:
    """Yield the stream and the moment of each packet of picture and sound, in the order of the file, up to damage."""
    streams = [*container.streams.video, *container.streams.audio]
    for stream in streams:
        stream.discard = Discard.default
    try:
        rewind(container, container.start_time or 0)
        for packet in container.demux(streams):
            if packet.dts is not None and packet.time_base:
                yield packet.stream_index, float(packet.dts * packet.time_base)
    except (av.FFmpegError, IndexError):
        return  # broken, or a stream begins that was not there before, for which PyAV raises the latter
