"""Finding, by the times of its packets, the part of a video that a frame has to be decoded from."""

from typing import TypeAlias

import av
from av.packet import Packet
from av.video.stream import VideoStream

from workers._video import Video, rewind

VideoPacket: TypeAlias = "Packet[VideoStream]"

# H.264 and H.265 allow a picture to be decoded at most 16 pictures after one that is shown later.
_MAX_REORDER = 16
_STEPS_BACK_S = (0, 1, 4, 16, 64)
_MAX_HELD_BYTES = 256 << 20


class UnfitError(Exception):
    """This file needs a plainer way."""


def pts(packet: VideoPacket) -> int:
    """Return when the packet's frame is shown, in ticks. Raises UnfitError if it does not say."""
    if packet.pts is None:
        raise UnfitError
    return packet.pts


def seek(video: Video, target: int) -> bool:
    """Go to a keyframe at or before `target`; False where the container cannot."""
    first = video.stream.start_time if video.stream.start_time is not None else video.origin
    within = target if video.declared_end is None else min(target, video.declared_end)
    try:
        video.container.seek(max(within, first), stream=video.stream)
    except av.FFmpegError:
        return False
    return True


def group_of_pictures(video: Video, target: int, *, keyframe_only: bool) -> list[VideoPacket]:
    """Return the packets from the last keyframe up to `target` until nothing due can follow.

    A seek goes by decoding times or by estimates, so it may land after that keyframe; then start further back. Only
    before the first frame of the file does the list begin with a later one. Raises UnfitError.
    """
    for step_s in _STEPS_BACK_S:
        if not seek(video, target - round(step_s / video.tick)):
            break
        gop = _collect(video, target, keyframe_only=keyframe_only)
        if gop and pts(gop[0]) <= target:
            return gop
    else:
        go_to_start(video)
    gop = _collect(video, target, keyframe_only=keyframe_only)
    if not gop:
        raise UnfitError
    return gop


def go_to_start(video: Video) -> None:
    """Go to the first packet. Raises av.FFmpegError."""
    rewind(video.container, min(video.stream.start_time or 0, video.origin), video.stream)


def _collect(video: Video, target: int, *, keyframe_only: bool) -> list[VideoPacket]:
    gop: list[VideoPacket] = []
    later = held_bytes = 0
    for packet in video.container.demux(video.stream):
        if not packet.size:
            break
        is_due = pts(packet) <= target
        if packet.is_keyframe and is_due:
            gop.clear()
            held_bytes = 0
        elif not gop and not packet.is_keyframe:
            continue
        gop.append(packet)
        later += not is_due
        held_bytes += packet.size
        if held_bytes > _MAX_HELD_BYTES:
            raise UnfitError
        if later > _MAX_REORDER or (keyframe_only and video.is_indexed):
            break
    return gop
