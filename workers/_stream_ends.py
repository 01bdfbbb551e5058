"""When the streams of a file begin and end: as its header tells, else as its first and last packets do."""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from workers._video import lasting, rewind, told_length

_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
# Matroska's tag has the language of the track behind it in files of mkvmerge.
_TAG = "DURATION"
# Streams that are there to the end of a file have packets in this much of it.
_TAIL_S = 10


def stream_begin(container: InputContainer, stream: Stream) -> float | None:
    """Return when the library takes a stream to begin, in seconds after the start of the file, if it does.

    One of which it has not seen anything so far it takes to begin with the file.
    """
    if stream.start_time is None or stream.time_base is None:
        return None
    return float(stream.start_time * stream.time_base - _beginning(container))


def first_packet_s(container: InputContainer, stream: Stream) -> float | None:
    """Return when the first packet of a stream begins, in seconds after the start of the file; None if it has none."""
    for packet in read_packets(container, [stream]):
        if packet.pts is not None and packet.time_base:
            return float(packet.pts * packet.time_base - _beginning(container))
    return None


def read_packets(
    container: InputContainer, streams: Sequence[Stream], begin: int | None = None
) -> "Iterator[Packet[Stream]]":
    """Yield the packets of some streams in the order of the file, up to damage.

    `begin` is where to read from, in the library's units; None: all.
    """
    for stream in streams:
        stream.discard = Discard.default
    try:
        if begin is None:
            rewind(container, container.start_time or 0)
        else:
            container.seek(begin)
        yield from container.demux(list(streams))
    except (av.FFmpegError, IndexError):
        return  # broken, or a stream begins that was not there before, for which PyAV raises the latter


def stream_ends(container: InputContainer, streams: Sequence[Stream]) -> dict[int, float]:
    """Return the ends of streams by their numbers, in seconds after the start of the file; none for those without any.

    Where the header does not tell, packets are read, from near the end of the file on, if need be all.
    """
    told = {stream.index: _told_end(container, stream) for stream in streams}
    unknown = [stream for stream in streams if told[stream.index] is None]
    ends = {index: end for index, end in told.items() if end is not None}
    if unknown and container.duration:
        begin = _beginning(container)
        tail = begin + told_length(container, begin) - _TAIL_S
        ends |= _last_moments(container, unknown, round(tail * av.time_base))
    if any(stream.index not in ends for stream in unknown):
        ends |= _last_moments(container, unknown, None)
    return ends


def told_end(container: InputContainer, streams: Sequence[Stream]) -> float | None:
    """Return when the last of some streams ends as the header tells, None where it does not tell of each."""
    told = [_told_end(container, stream) for stream in streams]
    known = [end for end in told if end is not None]
    return max(known) if len(known) == len(told) else None


def _told_end(container: InputContainer, stream: Stream) -> float | None:
    if stream.duration and stream.time_base:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base - _beginning(container))
    clock = next((_CLOCK.match(text) for key, text in stream.metadata.items() if key.startswith(_TAG)), None)
    if clock is None:
        return None
    told_s = int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3])
    return lasting(container, told_s, float(_beginning(container)))


def _last_moments(container: InputContainer, streams: Sequence[Stream], begin: int | None) -> dict[int, float]:
    """Return when the last packets of streams end; `begin` as in read_packets()."""
    last: dict[int, Fraction] = {}
    for packet in read_packets(container, streams, begin):
        if packet.pts is not None and packet.time_base:
            end = (packet.pts + (packet.duration or 0)) * packet.time_base
            last[packet.stream_index] = max(last.get(packet.stream_index, end), end)
    return {index: float(end - _beginning(container)) for index, end in last.items()}


def _beginning(container: InputContainer) -> Fraction:
    return Fraction(container.start_time or 0, av.time_base)
