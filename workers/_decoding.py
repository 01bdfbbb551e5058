"""Decoding frames of a video: single ones out of a group of pictures, or all of them in order."""

from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from typing import Literal

import av
from av.codec.context import ThreadType
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from workers._packets import UnfitError, VideoPacket, pts
from workers._video import Video

# Frames marked as non-reference are used by no other frame in these; in H.265 only without temporal sub-layers.
_NONREF_IS_EXACT = frozenset({"h264", "mpeg1video", "mpeg2video", "mpeg4"})
_HVCC_LAYERS = 21


def decode_places(video: Video, packets: Sequence[VideoPacket], places: Collection[int]) -> Iterator[VideoFrame]:
    """Decode the packets as far as those at `places` need them, and give the frames of these in the order of time.

    Raises UnfitError if one of them is missing or damaged.
    """
    decoder = _decoder(video.stream)
    skipping: Literal["NONREF", "DEFAULT"] = "NONREF" if _can_skip_nonref(decoder) else "DEFAULT"
    decoder.skip_frame = skipping
    wanted = {pts(packets[place]) for place in places}
    for place, packet in enumerate(packets[: max(places) + 1]):
        if place in places:
            decoder.skip_frame = "DEFAULT"
        frames = decoder.decode(packet)
        if place in places:
            decoder.skip_frame = skipping
        yield from _taken(video, frames, wanted)
    decoder.skip_frame = "DEFAULT"
    yield from _taken(video, decoder.decode(None), wanted)
    if wanted:
        raise UnfitError


def _taken(video: Video, frames: list[VideoFrame], wanted: set[int]) -> Iterator[VideoFrame]:
    for frame in frames:
        if frame.pts in wanted and not frame.is_corrupt:
            wanted.remove(frame.pts)
            frame.time_base = video.tick
            yield frame


def timed_frames(video: Video, *, from_start: bool) -> Iterator[tuple[int, VideoFrame]]:
    """Decode from here on; each frame with its time in ticks, counted on from its predecessor where the file has none.

    Frames without presentation times come in the right order, but carry the decoding time of the packet that pushed
    them out, late by the decoder's delay. Raises UnfitError.
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
                time = previous + frame_ticks(video)
            elif from_start:
                time = video.origin
            else:
                raise UnfitError
            previous = time
            yield time, frame


def frame_ticks(video: Video) -> int:
    """Return how long a frame is shown, by the video's frame rate."""
    rate = video.stream.average_rate or video.stream.guessed_rate or Fraction(25)
    return round(1 / rate / video.tick)


def _decoder(stream: VideoStream) -> VideoCodecContext:
    decoder = stream.codec_context
    if decoder.is_open:
        decoder.flush_buffers()
        return decoder
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


def _decoded(decoder: VideoCodecContext, packet: VideoPacket) -> list[VideoFrame]:
    """Decode one packet, or drain the decoder at the end; damaged packets give nothing, as in any player."""
    try:
        return decoder.decode(packet if packet.size else None)
    except av.InvalidDataError:
        return []
