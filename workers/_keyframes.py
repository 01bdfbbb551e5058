"""The keyframes of a video nearest to given moments: found by the file's index, or in one pass over its packets.

Every keyframe is decoded by itself and nothing else is, so a picture costs about as much as a still of that size.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import av
from av.codec.context import ThreadType
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from workers._decoding import frame_ticks
from workers._frames import Grab
from workers._packets import VideoPacket
from workers._video import Video

_Found: TypeAlias = "Packet[VideoStream] | None"
_Find: TypeAlias = Callable[[Video, Sequence[int]], Iterator[tuple[_Found, int]]]

# Indexes of some containers count in decoding time, which is behind the time of showing by some frames that differ from
# keyframe to keyframe; where the choice is closer than this, the packets themselves are asked.
_CLOSE_S = 1


@dataclass(frozen=True, slots=True)
class Shot:
    """A keyframe, and how many of the moments, in their order, it is for; `missing` of them for want of their own."""

    grab: Grab
    moments: int
    missing: int


def nearest_keyframes(video: Video, moments: Sequence[Fraction]) -> Iterator[Shot]:
    """Yield the keyframes nearest to the moments, which are ascending seconds from the start; the earlier of two.

    The moments of one that cannot be read or decoded go to its neighbour. Yields nothing if there is none at all.
    """
    targets = [video.origin + round(moment / video.tick) for moment in moments]
    find: _Find = _by_index if _has_whole_index(video) else _by_reading_on
    decoder = _single_decoder(video.stream)
    latest: Grab | None = None
    orphans = 0
    for packet, count in find(video, targets):
        frame = _decoded(decoder, packet) if packet is not None else None
        if frame is not None:
            latest = Grab(frame, _seconds(video, packet), is_past_end=False, sample_aspect=video.sample_aspect)
        if latest is None:
            orphans += count
        else:
            yield Shot(latest, orphans + count, missing=orphans if frame is not None else count)
            orphans = 0


def length_s(video: Video) -> Fraction:
    """Return how long players say that the video lasts, its sound included, by the file's header; 0 if unknown."""
    return max(video.duration, video.told_length)


def read_length_s(video: Video) -> Fraction:
    """Return how long the video lasts by reading it to its end."""
    end = video.origin
    ticks = frame_ticks(video)
    for count, packet in enumerate(_packets(video), 1):
        shown = packet.pts if packet.pts is not None else packet.dts
        end = max(end, video.origin + count * ticks if shown is None else shown + (packet.duration or ticks))
    return (end - video.origin) * video.tick


def _has_whole_index(video: Video) -> bool:
    """Whether the file told where all its keyframes are, not only those of its first part."""
    duration = video.duration or length_s(video)
    if not video.is_indexed or not duration:
        return False
    # Matroska's index is read at the first seek.
    with suppress(av.FFmpegError):
        video.container.seek(min(video.stream.start_time or 0, video.origin), stream=video.stream)
    entries = video.stream.index_entries
    if len(entries) < 2:
        return False
    first, last = entries[0].timestamp, entries[len(entries) - 1].timestamp
    usual_gap = Fraction(last - first, len(entries) - 1)
    return video.origin + duration / video.tick - last <= 2 * usual_gap + _CLOSE_S / video.tick


def _by_index(video: Video, targets: Sequence[int]) -> Iterator[tuple[_Found, int]]:
    """Choose by the index, and read the chosen keyframes alone."""
    keyframes = _Indexed(video)
    chosen, count = keyframes.nearest(targets[0]), 0
    for target in targets:
        nearest = keyframes.nearest(target)
        if nearest != chosen:
            yield keyframes.packet(chosen), count
            chosen, count = nearest, 0
        count += 1
    yield keyframes.packet(chosen), count


class _Indexed:
    """The keyframes of an indexed file, named by their times in the index."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self._entries = video.stream.index_entries
        self._held: dict[int, _Found] = {}
        self._close = _CLOSE_S / video.tick
        first = self._entries.search_timestamp(self._entries[0].timestamp, backward=False)
        self._lag = 0
        if first >= 0:
            time = self._entries[first].timestamp
            self._lag = self._shown(time) - time

    def nearest(self, target: int) -> int:
        """Return the keyframe shown nearest to `target`, by its time in the index."""
        wanted = target - self._lag
        found = [self._entries.search_timestamp(wanted, backward=backward) for backward in (True, False)]
        times = [self._entries[place].timestamp for place in found if place >= 0]
        if len(times) < 2 or times[0] == times[1]:
            return times[0] if times else self._entries[0].timestamp
        before, after = wanted - times[0], times[1] - wanted
        if abs(before - after) < self._close:
            before, after = abs(target - self._shown(times[0])), abs(self._shown(times[1]) - target)
        return times[0] if before <= after else times[1]

    def packet(self, time: int) -> _Found:
        """Read a keyframe; None where the file is cut off or broken."""
        if time not in self._held:
            if len(self._held) > 2:
                del self._held[next(iter(self._held))]
            self._held[time] = self._read(time)
        return self._held[time]

    def _read(self, time: int) -> _Found:
        try:
            self._video.container.seek(time, stream=self._video.stream)
        except av.FFmpegError:
            return None
        for packet in _packets(self._video):
            own = packet.pts if packet.dts is None else packet.dts
            if packet.is_keyframe and own is not None and max(own, packet.pts or own) >= time:
                return packet
        return None

    def _shown(self, time: int) -> int:
        packet = self.packet(time)
        return packet.pts if packet is not None and packet.pts is not None else time + self._lag


def _by_reading_on(video: Video, targets: Sequence[int]) -> Iterator[tuple[_Found, int]]:
    """Read all packets once, and give each keyframe when the next one shows which moments are nearer to that."""
    held: _Found = None
    shown = done = 0
    for number, packet in enumerate(_packets(video)):
        if not packet.is_keyframe:
            continue
        time = _shown_at(video, packet, number)
        if held is not None:
            time = max(time, shown)
            nearer = bisect_right(targets, (shown + time) // 2)
            if nearer > done:
                yield held, nearer - done
                done = nearer
        held, shown = packet, time
    if done < len(targets):
        yield held, len(targets) - done


def _packets(video: Video) -> Iterator[VideoPacket]:
    """Read packets up to the end, or to where the file is so broken that its demuxer gives up."""
    try:
        for packet in video.container.demux(video.stream):
            if not packet.size:
                return
            yield packet
    except av.FFmpegError:
        return


def _shown_at(video: Video, packet: VideoPacket, number: int) -> int:
    time = packet.pts if packet.pts is not None else packet.dts
    return video.origin + number * frame_ticks(video) if time is None else time


def _seconds(video: Video, packet: _Found) -> Fraction:
    time = packet.pts if packet is not None and packet.pts is not None else video.origin
    return (time - video.origin) * video.tick


def _single_decoder(stream: VideoStream) -> VideoCodecContext:
    decoder = stream.codec_context
    if not decoder.is_open:
        decoder.thread_count = 1
        decoder.thread_type = ThreadType.NONE
    decoder.skip_frame = "DEFAULT"
    return decoder


def _decoded(decoder: VideoCodecContext, packet: VideoPacket) -> VideoFrame | None:
    """Decode a keyframe without the frames around it; None if it is damaged."""
    try:
        frames = [*decoder.decode(packet), *decoder.decode(None)]
    except av.FFmpegError:
        frames = []
    finally:
        decoder.flush_buffers()
    return next((frame for frame in frames if not frame.is_corrupt), None)
