"""The groups of pictures of an H.264 or HEVC video, as its packets tell: where it can be cut without decoding it."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av

from workers._nal_units import unit_reader
from workers._packets import VideoPacket
from workers._video import Video


class UncuttableError(Exception):
    """The packets cannot go into another file as they are; the message says why."""


@dataclass(slots=True)
class PictureGroup:
    """A keyframe and the pictures decoded after it; `moment` is when it is shown, in seconds from the file's start.

    One that `is_closed` refers to nothing before it, and everything before it is shown before it.
    """

    moment: Fraction
    is_closed: bool
    frames: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Pictures:
    """All pictures of a video: `ends` is when the last one has been shown, `first_decoded` when decoding starts."""

    groups: list[PictureGroup]
    ends: Fraction
    first_decoded: Fraction


def read_groups(video: Video, longest: int) -> Pictures:
    """Read all packets of a video. Raises UncuttableError, also if keyframes are more than `longest` seconds apart."""
    try:
        return _Reading(video, longest).read()
    except (av.FFmpegError, ValueError) as error:
        raise UncuttableError("it is damaged") from error


class _Reading:
    """Goes through the packets once and keeps no more than a group of them."""

    def __init__(self, video: Video, longest: int) -> None:
        context = video.stream.codec_context
        self._video = video
        self._longest = longest
        self._units = unit_reader(context.name, context.extradata)
        self._zero = Fraction(video.container.start_time or 0, av.time_base)
        self._sets: frozenset[bytes] | None = None
        self._groups: list[PictureGroup] = []
        self._shown: list[int] = []
        self._last_shown: int | None = None

    def read(self) -> Pictures:
        """Read all."""
        first: int | None = None
        duration = 0
        for packet, pts in self._timed_packets():
            first = (pts if packet.dts is None else packet.dts) if first is None else first
            if packet.is_keyframe:
                self._end_group()
                self._groups.append(PictureGroup(self._moment(pts), self._is_entry(packet), 0, 0))
            elif not self._groups:
                raise UncuttableError("it does not begin with a keyframe")
            elif self._moment(pts) - self._groups[-1].moment > self._longest:
                raise UncuttableError(f"its keyframes are more than {self._longest} s apart")
            self._shown.append(pts)
            self._groups[-1].frames += 1
            self._groups[-1].size_bytes += packet.size
            duration = packet.duration or duration
        self._end_group()
        if first is None or self._last_shown is None:
            raise UncuttableError("it has no pictures")
        return Pictures(self._groups, self._moment(self._last_shown + duration), self._moment(first))

    def _timed_packets(self) -> Iterator[tuple[VideoPacket, int]]:
        """Yield the packets with the times when they are shown.

        When they are decoded some containers do not tell, and ffmpeg finds a time that fits.
        """
        if not self._video.has_shown_times:
            raise UncuttableError("its container does not tell when pictures are shown")
        last: int | None = None
        for packet in self._video.container.demux(self._video.stream):
            if not packet.size:
                continue
            if packet.is_corrupt or packet.is_discard or packet.has_sidedata("new_extradata"):
                raise UncuttableError("it is damaged, trimmed, or changes on its way")
            if packet.pts is None or (packet.dts is not None and packet.pts < packet.dts):
                raise UncuttableError("it does not tell when each picture is shown")
            if last is not None and packet.dts is not None and packet.dts <= last:
                raise UncuttableError("its clock goes back")
            last = last if packet.dts is None else packet.dts
            yield packet, packet.pts

    def _moment(self, ticks: int) -> Fraction:
        return ticks * self._video.tick - self._zero

    def _is_entry(self, packet: VideoPacket) -> bool:
        """Whether decoding can begin with a keyframe: it refers to nothing, and comes with all that it needs.

        Raises UncuttableError if it needs something else than the first one.
        """
        content = bytes(packet)
        sets = self._units.parameter_sets(content)
        if self._sets is None:
            self._sets = sets
        elif sets and sets != self._sets:
            raise UncuttableError("its parameters change on its way")
        return self._units.is_idr(content) and (bool(sets) or self._units.length_bytes > 0)

    def _end_group(self) -> None:
        """Look at the times of the group that is complete now."""
        if not self._shown:
            return
        self._shown.sort()
        if len(set(self._shown)) < len(self._shown):
            raise UncuttableError("two of its pictures are shown at the same time")
        group, first = self._groups[-1], self._moment(self._shown[0])
        if first < group.moment or (self._last_shown is not None and self._moment(self._last_shown) >= first):
            group.is_closed = False
        self._last_shown = max(self._shown[-1], self._last_shown or self._shown[-1])
        self._shown.clear()
