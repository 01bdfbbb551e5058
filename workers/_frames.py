"""Grabbing one frame of a video: the very frame that a plain decoder shows at that moment, for a fraction of its work.

The work saved: the file is opened without probing; decoding starts at the last keyframe before the moment; of the
frames in between, those that no other frame refers to are skipped; and the decoder is drained as soon as it has got the
packet of the wanted frame, instead of being fed until its reorder delay is over. Whatever does not fit (packets
without times, decoders that swallow the frame) is done again the plain way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import floor
from typing import Literal, TypeAlias

import av
from av.codec.context import ThreadType
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from workers._moments import Moment
from workers._video import Medium, Video, open_video
from workplatform.errors import BadInputError

Accuracy = Literal["exact", "keyframe"]
VideoPacket: TypeAlias = "Packet[VideoStream]"

# H.264 and H.265 allow a picture to be decoded at most 16 pictures after one that is shown later.
_MAX_REORDER = 16
_STEPS_BACK_S = (0, 1, 4, 16, 64)
# Frames marked as non-reference are used by no other frame in these; in H.265 only without temporal sub-layers.
_NONREF_IS_EXACT = frozenset({"h264", "mpeg1video", "mpeg2video", "mpeg4"})
_HVCC_LAYERS = 21
_MAX_HELD_BYTES = 256 << 20
# Containers that count in milliseconds round 2/30 s up to 67 ms; somebody who asks for 0.0666 means that frame.
_ROUNDING = Fraction(1, 2000)


class _UnfitError(Exception):
    """This file needs a plainer way."""


@dataclass(frozen=True, slots=True)
class Grab:
    """A decoded frame, its time in seconds from the start, and whether the moment was past the video's end."""

    frame: VideoFrame
    time: Fraction
    is_past_end: bool
    sample_aspect: Fraction


def grab(medium: Medium, name: str, moment: Moment, accuracy: Accuracy) -> Grab:
    """Return the frame shown at `moment`, or with `keyframe` the last keyframe up to it.

    Before the first frame that is the first one, past the end the last one. Raises BadInputError, naming the file as
    `name`, if it is no video or has no decodable frame there.
    """
    for probe in (False, True):
        with open_video(medium, name, probe=probe) as video:
            try:
                return _by_packets(video, moment, accuracy)
            except (_UnfitError, av.FFmpegError):
                continue
    for from_start in (False, True):
        with open_video(medium, name, probe=True) as video:
            try:
                return _by_frames(video, moment, accuracy, from_start=from_start)
            except (_UnfitError, av.FFmpegError):
                continue
    raise BadInputError(f"damaged video: no frame of {name} can be decoded there")


def _by_packets(video: Video, moment: Moment, accuracy: Accuracy) -> Grab:
    """Choose the frame by the packets' times, and decode only what it needs."""
    if not video.has_shown_times:
        raise _UnfitError
    target = _target(video, moment)
    gop = _group_of_pictures(video, target, keyframe_only=accuracy == "keyframe")
    shown = [place for place, one in enumerate(gop) if not one.is_discard]
    if not shown:
        raise _UnfitError
    if accuracy == "keyframe":
        wanted = 0
    else:
        due = [place for place in shown if _pts(gop[place]) <= target]
        wanted = max(due, key=lambda place: _pts(gop[place])) if due else min(shown, key=lambda p: _pts(gop[p]))
    frame = _decode_last(video, gop[: wanted + 1])
    last = max((gop[place] for place in shown), key=_pts)
    if accuracy == "keyframe" and video.is_indexed:
        is_past_end = bool(video.duration) and target * video.tick >= video.duration + video.origin * video.tick
    else:
        is_past_end = _is_past_end(video, target, _pts(last), last.duration, is_share=moment.is_share)
    return _result(video, frame, is_past_end=is_past_end)


def _by_frames(video: Video, moment: Moment, accuracy: Accuracy, *, from_start: bool) -> Grab:
    """Decode everything up to the moment and choose by the frames' own times."""
    target = _target(video, moment)
    if not from_start and not _seek(video, target):
        raise _UnfitError
    chosen: tuple[int, VideoFrame] | None = None
    latest, length = target, 0
    for time, frame in _timed_frames(video, from_start=from_start):
        if chosen is None and not from_start and (time > target or frame.is_corrupt):
            raise _UnfitError
        if chosen is not None and time > target:
            latest = time
            break
        if chosen is None or accuracy == "exact" or frame.key_frame:
            chosen = time, frame
        latest, length = time, frame.duration
    if chosen is None:
        raise _UnfitError
    frame = chosen[1]
    frame.pts = chosen[0]
    return _result(video, frame, is_past_end=_is_past_end(video, target, latest, length, is_share=moment.is_share))


def _target(video: Video, moment: Moment) -> int:
    if moment.is_share and not video.duration:
        raise BadInputError(f"{video.name} does not say how long it lasts: give the timestamp in seconds")
    seconds = moment.seconds(video.duration) + min(video.tick / 2, _ROUNDING)
    return video.origin + floor(seconds / video.tick)


def _pts(packet: VideoPacket) -> int:
    if packet.pts is None:
        raise _UnfitError
    return packet.pts


def _seek(video: Video, target: int) -> bool:
    """Go to a keyframe at or before `target`; False where the container cannot."""
    first = video.stream.start_time if video.stream.start_time is not None else video.origin
    within = target if video.declared_end is None else min(target, video.declared_end)
    try:
        video.container.seek(max(within, first), stream=video.stream)
    except av.FFmpegError:
        return False
    return True


def _rewind(video: Video) -> None:
    """Go to the first packet; by bytes where a seek by time may land behind it."""
    if video.container.format.name in {"mpegts", "mpeg"}:
        video.container.seek(0, unsupported_byte_offset=True)
    else:
        video.container.seek(min(video.stream.start_time or 0, video.origin), stream=video.stream)


def _group_of_pictures(video: Video, target: int, *, keyframe_only: bool) -> list[VideoPacket]:
    """Return the packets from the last keyframe up to `target` until nothing due can follow.

    A seek goes by decoding times or by estimates, so it may land after that keyframe; then start further back. Only
    before the first frame of the file does the list begin with a later one.
    """
    for step_s in _STEPS_BACK_S:
        if not _seek(video, target - round(step_s / video.tick)):
            break
        gop = _collect(video, target, keyframe_only=keyframe_only)
        if gop and _pts(gop[0]) <= target:
            return gop
    else:
        _rewind(video)
    gop = _collect(video, target, keyframe_only=keyframe_only)
    if not gop:
        raise _UnfitError
    return gop


def _collect(video: Video, target: int, *, keyframe_only: bool) -> list[VideoPacket]:
    gop: list[VideoPacket] = []
    later = held_bytes = 0
    for packet in video.container.demux(video.stream):
        if not packet.size:
            break
        is_due = _pts(packet) <= target
        if packet.is_keyframe and is_due:
            gop.clear()
            held_bytes = 0
        elif not gop and not packet.is_keyframe:
            continue
        gop.append(packet)
        later += not is_due
        held_bytes += packet.size
        if held_bytes > _MAX_HELD_BYTES:
            raise _UnfitError
        if later > _MAX_REORDER or (keyframe_only and video.is_indexed):
            break
    return gop


def _decode_last(video: Video, packets: list[VideoPacket]) -> VideoFrame:
    """Decode the packets as far as the last one needs them, and return its frame."""
    decoder = _decoder(video.stream)
    wanted = packets[-1]
    if _can_skip_nonref(decoder):
        decoder.skip_frame = "NONREF"
    frames: list[VideoFrame] = []
    for packet in packets[:-1]:
        frames = decoder.decode(packet) or frames
    decoder.skip_frame = "DEFAULT"
    for frame in chain(decoder.decode(wanted), decoder.decode(None)):
        if frame.pts == wanted.pts and not frame.is_corrupt:
            frame.time_base = video.tick
            return frame
    raise _UnfitError


def _decoder(stream: VideoStream) -> VideoCodecContext:
    decoder = stream.codec_context
    decoder.thread_count = 1
    decoder.thread_type = ThreadType.NONE
    decoder.skip_frame = "DEFAULT"
    if decoder.name == "h264":
        # Streams that do not state their reorder depth would make the decoder guess it, and drop frames until it has
        # guessed right; "strict" makes it assume the most that the level allows.
        decoder.options = {"strict": "strict"}
    return decoder


def _can_skip_nonref(decoder: VideoCodecContext) -> bool:
    """Whether the frames marked as non-reference can go without changing any other frame.

    In H.265 a non-reference picture of a temporal sub-layer may still be referred to by a higher sub-layer; the
    count of sub-layers is in bits 3 to 5 of byte 21 of the configuration record (ISO/IEC 14496-15, 8.3.3.1).
    """
    if decoder.name == "hevc":
        record = decoder.extradata or b""
        return len(record) > _HVCC_LAYERS and record[0] == 1 and (record[_HVCC_LAYERS] >> 3) & 7 == 1
    return decoder.name in _NONREF_IS_EXACT


def _timed_frames(video: Video, *, from_start: bool) -> Iterator[tuple[int, VideoFrame]]:
    """Decode from here on; each frame with its time in ticks, counted on from its predecessor where the file has none.

    Frames without presentation times come in the right order, but carry the decoding time of the packet that pushed
    them out, late by the decoder's delay.
    """
    decoder = _decoder(video.stream)
    first_dts = delay = previous = None
    for packet in video.container.demux(video.stream):
        if first_dts is None:
            first_dts = packet.dts
        for frame in _decoded(decoder, packet):
            if frame.pts is not None and video.has_shown_times:
                time = frame.pts
            elif frame.dts is not None and first_dts is not None:
                delay = frame.dts - first_dts if delay is None else delay
                time = frame.dts - delay
            elif previous is not None:
                time = previous + _frame_ticks(video)
            elif from_start:
                time = video.origin
            else:
                raise _UnfitError
            previous = time
            yield time, frame


def _decoded(decoder: VideoCodecContext, packet: VideoPacket) -> list[VideoFrame]:
    """Decode one packet, or drain the decoder at the end; damaged packets give nothing, as in any player."""
    try:
        return decoder.decode(packet if packet.size else None)
    except av.InvalidDataError:
        return []


def _frame_ticks(video: Video) -> int:
    rate = video.stream.average_rate or video.stream.guessed_rate or Fraction(25)
    return round(1 / rate / video.tick)


def _is_past_end(video: Video, target: int, last: int, length: int | None, *, is_share: bool) -> bool:
    """Whether the video is over at `target`, when its last frame starts at `last`.

    A share of a duration in the header that is a frame too long is not "past". Raises BadInputError if the header
    promises frames that the file no longer has.
    """
    one_frame = length or _frame_ticks(video)
    end = last + one_frame
    if last > target or target < end:
        return False
    declared = video.declared_end
    if declared is not None and target < declared and target - end > 1 / video.tick:
        have, want = (float((ticks - video.origin) * video.tick) for ticks in (end, declared))
        raise BadInputError(f"damaged video: {video.name} ends after {have:.1f} s of {want:.1f} s")
    return not is_share or target > end + one_frame


def _result(video: Video, frame: VideoFrame, *, is_past_end: bool) -> Grab:
    aspect = video.stream.sample_aspect_ratio or video.stream.codec_context.sample_aspect_ratio or Fraction(1)
    time = ((frame.pts or 0) - video.origin) * video.tick
    return Grab(frame, time, is_past_end, aspect if aspect > 0 else Fraction(1))
