"""Grabbing frames of a video: the very frame that a plain decoder shows at a moment, for a fraction of its work.

The work saved: the file is opened without probing; decoding starts at the last keyframe before the moment; of the
frames in between, those that no other frame refers to are skipped; and the decoder is drained as soon as it has got the
packet of the wanted frame, instead of being fed until its reorder delay is over. Several moments share the open file,
and those between two keyframes one run of the decoder. Whatever does not fit (packets without times, decoders that
swallow the frame) is done again the plain way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Literal, TypeAlias

import av
from av.video.frame import VideoFrame

from workers._decoding import decode_places, frame_ticks, timed_frames
from workers._moments import Moment
from workers._packets import UnfitError, VideoPacket, group_of_pictures, pts, seek
from workers._video import Medium, Video, open_video
from workplatform.errors import BadInputError

Accuracy = Literal["exact", "keyframe"]

# Containers that count in milliseconds round 2/30 s up to 67 ms; somebody who asks for 0.0666 means that frame.
_ROUNDING = Fraction(1, 2000)


@dataclass(frozen=True, slots=True)
class Grab:
    """A decoded frame, its time in seconds from the start, and whether the moment was past the video's end."""

    frame: VideoFrame
    time: Fraction
    is_past_end: bool
    sample_aspect: Fraction


@dataclass(frozen=True, slots=True)
class _Order:
    """A moment as asked for: its place in the list, and its time in ticks of this video."""

    number: int
    target: int
    is_share: bool


@dataclass(slots=True)
class _Group:
    """Packets from one keyframe on, and the orders for them: by the packet's place, with whether it is past the end."""

    packets: list[VideoPacket]
    orders: dict[int, list[tuple[_Order, bool]]] = field(default_factory=dict)

    def is_same(self, packets: list[VideoPacket]) -> bool:
        """Whether `packets` begin with the same keyframe."""
        return (self.packets[0].pts, self.packets[0].dts) == (packets[0].pts, packets[0].dts)


_Found: TypeAlias = Iterator[tuple[int, Grab]]
_Way: TypeAlias = Callable[[Video, list[_Order], Accuracy], _Found]


def grab(medium: Medium, name: str, moment: Moment, accuracy: Accuracy) -> Grab:
    """Return the frame shown at `moment`, or with `keyframe` the last keyframe up to it.

    Before the first frame that is the first one, past the end the last one. Raises BadInputError, naming the file as
    `name`, if it is no video or has no decodable frame there.
    """
    ((_, found),) = grab_each(medium, name, [moment], accuracy)
    return found


def grab_each(medium: Medium, name: str, moments: Sequence[Moment], accuracy: Accuracy) -> Iterator[tuple[int, Grab]]:
    """Yield what `grab` returns for each of the moments, with its place among them.

    Frames are given as they are decoded, so that no more than one has to be in memory: in the order of time, those that
    need a plainer way last.
    """
    left = dict(enumerate(moments))
    for probe, way in _WAYS:
        with open_video(medium, name, probe=probe) as video:
            try:
                for number, found in way(video, _orders(video, left), accuracy):
                    yield number, found
                    del left[number]
            except (UnfitError, av.FFmpegError):
                continue
        return
    raise BadInputError(f"damaged video: no frame of {name} can be decoded there")


def _orders(video: Video, moments: Mapping[int, Moment]) -> list[_Order]:
    orders = [_Order(number, _target(video, moment), moment.is_share) for number, moment in moments.items()]
    return sorted(orders, key=lambda order: order.target)


def _target(video: Video, moment: Moment) -> int:
    if moment.is_share and not video.duration:
        raise BadInputError(f"{video.name} does not say how long it lasts: give the timestamp in seconds")
    seconds = moment.seconds(video.duration) + min(video.tick / 2, _ROUNDING)
    return video.origin + floor(seconds / video.tick)


def _by_packets(video: Video, orders: list[_Order], accuracy: Accuracy) -> _Found:
    """Choose the frames by the packets' times, and decode only what they need."""
    if not video.has_shown_times:
        raise UnfitError
    group: _Group | None = None
    for order in orders:
        packets = group_of_pictures(video, order.target, keyframe_only=accuracy == "keyframe")
        place, is_past_end = _choice(video, packets, order, accuracy)
        if group is None or not group.is_same(packets):
            if group is not None:
                yield from _decoded(video, group)
            group = _Group(packets)
        elif len(packets) > len(group.packets):
            group.packets = packets
        group.orders.setdefault(place, []).append((order, is_past_end))
    if group is not None:
        yield from _decoded(video, group)


def _choice(video: Video, gop: list[VideoPacket], order: _Order, accuracy: Accuracy) -> tuple[int, bool]:
    """Return the place of the packet that holds the frame, and whether the video is over by then."""
    shown = [place for place, one in enumerate(gop) if not one.is_discard]
    if not shown:
        raise UnfitError
    if accuracy == "keyframe":
        wanted = 0
    else:
        due = [place for place in shown if pts(gop[place]) <= order.target]
        wanted = max(due, key=lambda place: pts(gop[place])) if due else min(shown, key=lambda p: pts(gop[p]))
    if accuracy == "keyframe" and video.is_indexed:
        ends_s = video.duration + video.origin * video.tick
        return wanted, bool(video.duration) and order.target * video.tick >= ends_s
    last = max((gop[place] for place in shown), key=pts)
    return wanted, _is_past_end(video, order, pts(last), last.duration)


def _decoded(video: Video, group: _Group) -> _Found:
    orders: dict[int, list[tuple[_Order, bool]]] = {}
    for place, found in group.orders.items():
        orders.setdefault(pts(group.packets[place]), []).extend(found)
    for frame in decode_places(video, group.packets, group.orders):
        for order, is_past_end in orders[frame.pts or 0]:
            yield order.number, grab_of(video, frame, is_past_end=is_past_end)


def _by_seeking(video: Video, orders: list[_Order], accuracy: Accuracy) -> _Found:
    """Decode everything from before each moment up to it, and choose by the frames' own times."""
    for order in orders:
        if not seek(video, order.target):
            raise UnfitError
        yield from _walked(video, [order], accuracy, from_start=False)


def _by_walking(video: Video, orders: list[_Order], accuracy: Accuracy) -> _Found:
    """Decode everything from the start, once, and choose by the frames' own times."""
    yield from _walked(video, orders, accuracy, from_start=True)


def _walked(video: Video, orders: list[_Order], accuracy: Accuracy, *, from_start: bool) -> _Found:
    left = orders[::-1]
    chosen: tuple[int, VideoFrame] | None = None
    length = 0
    for time, frame in timed_frames(video, from_start=from_start):
        if chosen is None and not from_start and (time > left[-1].target or frame.is_corrupt):
            raise UnfitError
        while chosen is not None and left and time > left[-1].target:
            yield _given(video, left.pop(), chosen, latest=time, length=length)
        if not left:
            return
        if chosen is None or accuracy == "exact" or frame.key_frame:
            chosen = time, frame
        latest, length = time, frame.duration
    if chosen is None:
        raise UnfitError
    while left:
        yield _given(video, left.pop(), chosen, latest=latest, length=length)


def _given(
    video: Video, order: _Order, chosen: tuple[int, VideoFrame], *, latest: int, length: int | None
) -> tuple[int, Grab]:
    time, frame = chosen
    frame.pts = time
    is_past_end = _is_past_end(video, order, latest, length)
    return order.number, grab_of(video, frame, is_past_end=is_past_end)


def _is_past_end(video: Video, order: _Order, last: int, length: int | None) -> bool:
    """Whether the video is over at the order's time, when its last frame starts at `last`.

    A share of a duration in the header that is a frame too long is not "past". Raises BadInputError if the header
    promises frames that the file no longer has.
    """
    target = order.target
    one_frame = length or frame_ticks(video)
    end = last + one_frame
    if last > target or target < end:
        return False
    declared = video.declared_end
    if declared is not None and target < declared and target - end > 1 / video.tick:
        have, want = (float((ticks - video.origin) * video.tick) for ticks in (end, declared))
        raise BadInputError(f"damaged video: {video.name} ends after {have:.1f} s of {want:.1f} s")
    return not order.is_share or target > end + one_frame


_WAYS: tuple[tuple[bool, _Way], ...] = (
    (False, _by_packets),
    (True, _by_packets),
    (True, _by_seeking),
    (True, _by_walking),
)


def grab_of(video: Video, frame: VideoFrame, *, is_past_end: bool) -> Grab:
    """Return a frame of the video as a grab; its time is told by its own clock."""
    aspect = video.stream.sample_aspect_ratio or video.stream.codec_context.sample_aspect_ratio or Fraction(1)
    time = ((frame.pts or 0) - video.origin) * video.tick
    return Grab(frame, time, is_past_end, aspect if aspect > 0 else Fraction(1))
