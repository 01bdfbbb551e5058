"""What an encoder has to know about a video before it starts; runs in an isolated child."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from workers._clock import Clock, read_clock
from workers._stream_ends import first_packet_s, stream_begin, stream_ends, told_end
from workers._video import open_video, told_length
from workplatform.channels import channel_count
from workplatform.errors import BadInputError

_MAX_PACKETS_UNTIL_A_FRAME = 2000
_HDR_TRANSFERS = (16, 18)
_NOT_SAID = 2
_DOLBY_VISION_TAGS = ("dvh1", "dvhe", "dva1", "dvav")
# libavcodec's order of fields: 0 is unknown, from 2 on there are two of them in a frame.
_PROGRESSIVE = 1
# libavformat's AVFMT_TS_DISCONT.
_MAY_JUMP = 0x200


@dataclass(frozen=True, slots=True)
class SourceAudio:
    """The audio stream that goes with the picture; moments are seconds after the start of the file, if known.

    It is heard from `first_s` on; `begin_s` is what the library takes for that.
    """

    index: int
    sample_rate: int
    channels: int
    begin_s: float | None
    first_s: float
    end_s: float | None


@dataclass(frozen=True, slots=True)
class Colour:
    """How the first frame's samples mean light: codes of ISO/IEC 23091-2 (2: not said), and bits of a sample."""

    primaries: int
    transfer: int
    matrix: int
    bit_depth: int

    @property
    def is_hdr(self) -> bool:
        """Whether it is brighter than screens of old can show: PQ (SMPTE ST 2084) or HLG (ARIB STD-B67)."""
        return self.transfer in _HDR_TRANSFERS


@dataclass(frozen=True, slots=True)
class SourceVideo:
    """A video as its viewer sees it.

    `width` and `height` are square pixels after rotation, `container` is the name of its demuxer, `index` the number of
    its picture stream; `begin_s`, `end_s`, `sound_end_s` and `duration_s` count seconds from the start of the file,
    None where nothing tells. There is a `clock` where the container allows one that begins anew on the way. `audio` is
    what is to be heard with the picture from the same segments. `is_as_stored` says that the samples are shown as they
    are stored: progressive, upright, square and of limited range.
    """

    container: str
    clock: Clock | None
    index: int
    codec: str
    pixels: str
    width: int
    height: int
    frame_rate: Fraction | None
    is_interlaced: bool
    is_full_range: bool
    is_as_stored: bool
    begin_s: float | None
    end_s: float | None
    duration_s: float | None
    audio: SourceAudio | None
    sound_end_s: float | None
    colour: Colour

    @property
    def begins_anew(self) -> bool:
        """Whether the clock begins anew on the way, so that the times of packets tell of the first part alone."""
        return self.clock is not None and self.clock.begins_anew

    @property
    def longest_step_s(self) -> float | None:
        """How many seconds the clock may step forward and not have begun anew; None if it never does that."""
        return self.clock.longest_step_s if self.clock else None


def probe(path: Path, name: str) -> SourceVideo:
    """Describe the video at `path`, called `name` by its user, by decoding its first frame. Raises BadInputError."""
    with open_video(path, name, probe=True) as video:
        container, stream = video.container, video.stream
        best = container.streams.best("audio")
        frame = _first_frame(container, stream, name)
        if _is_for_dolby_vision_only(frame, stream):
            raise BadInputError(
                f"{name} is Dolby Vision of profile 5, whose colours only Dolby's decoders know: "
                "give a version in HDR10, HLG or SDR"
            )
        width, height = _upright_size(frame, stream)
        streams = [stream, best] if isinstance(best, AudioStream) else [stream]
        ends = stream_ends(container, streams)
        clock = read_clock(container, streams) if container.format.flags & _MAY_JUMP else None
        lasting_s = clock.lasting_s if clock and clock.begins_anew else told_end(container, streams)
        audio = source_audio(container, best, ends.get(best.index)) if isinstance(best, AudioStream) else None
        return SourceVideo(
            container=container.format.name,
            clock=clock,
            index=stream.index,
            codec=stream.codec_context.codec.canonical_name,
            pixels=frame.format.name,
            width=width,
            height=height,
            frame_rate=_frame_rate(stream),
            is_interlaced=frame.interlaced_frame,
            is_full_range=_is_full_range(frame),
            is_as_stored=_is_as_stored(frame, stream),
            begin_s=stream_begin(container, stream),
            end_s=ends.get(stream.index),
            duration_s=lasting_s or _duration(container) or max(ends.values(), default=None),
            audio=audio,
            sound_end_s=audio.end_s if audio else None,
            colour=_colour(frame),
        )


def source_audio(container: InputContainer, stream: AudioStream, end_s: float | None) -> SourceAudio | None:
    """Describe an audio stream that ends so; None if it cannot be decoded, or has nothing in it."""
    first_s = first_packet_s(container, stream)
    if stream.codec_context is None or first_s is None:
        return None
    rate, channels = stream.codec_context.sample_rate, channel_count(stream.codec_context)
    if not rate or not channels:
        return None
    return SourceAudio(stream.index, rate, channels, stream_begin(container, stream), first_s, end_s)


def _first_frame(container: InputContainer, stream: VideoStream, name: str) -> VideoFrame:
    """Decode until a frame comes out; damage before it is passed over, as players do.

    A keyframe is not left to wait in the decoder for the frames that might be shown before it; one that an edit list
    hides is, as the shown ones need it.
    """
    try:
        for count, packet in enumerate(container.demux(stream)):
            is_shown_key = packet.is_keyframe and not packet.is_discard
            frame = _decoded(stream, packet) or (_decoded(stream, None) if is_shown_key else None)
            if frame is not None:
                return frame
            if count > _MAX_PACKETS_UNTIL_A_FRAME:
                break
    except av.FFmpegError:
        pass
    raise BadInputError(f"damaged video: no frame of {name} can be decoded")


def _decoded(stream: VideoStream, packet: "Packet[VideoStream] | None") -> VideoFrame | None:
    """Return the frame that a packet, or the decoder's end (None), brings out; after that end it can start again."""
    try:
        return next(iter(stream.decode(packet)), None)
    except av.FFmpegError:
        return None
    finally:
        if packet is None:
            stream.codec_context.flush_buffers()


def _frame_rate(stream: VideoStream) -> Fraction | None:
    """Return what the library makes of the pictures it has seen; of too few it makes the ticks of the clock."""
    guessed, tick = stream.guessed_rate, stream.time_base
    return stream.average_rate or (guessed if guessed and tick and guessed * tick < 1 else None)


def _colour(frame: VideoFrame) -> Colour:
    depth = max((component.bits for component in frame.format.components), default=8)
    return Colour(int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace), depth)


def _is_for_dolby_vision_only(frame: VideoFrame, stream: VideoStream) -> bool:
    """Whether the picture would come out green and purple: profiles made for other screens too name their colours."""
    is_dolby = stream.codec_context.codec_tag in _DOLBY_VISION_TAGS or SideDataType.DOVI_METADATA in frame.side_data
    return is_dolby and int(frame.color_trc) == _NOT_SAID


def _is_full_range(frame: VideoFrame) -> bool:
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")


def _is_as_stored(frame: VideoFrame, stream: VideoStream) -> bool:
    is_turned = SideDataType.DISPLAYMATRIX in frame.side_data
    is_woven = frame.interlaced_frame or stream.codec_context.field_order > _PROGRESSIVE
    is_square = stream.sample_aspect_ratio in (None, 0, 1)
    return is_square and not (is_turned or is_woven or _is_full_range(frame))


def _upright_size(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """Return the size in square pixels, as ffmpeg turns the picture by itself (quarter turns only)."""
    width, height = frame.width, frame.height
    pixel = stream.sample_aspect_ratio
    if pixel and pixel > 0:
        width = max(1, round(width * pixel))
    return (height, width) if round(frame.rotation / 90) % 2 else (width, height)


def _duration(container: InputContainer) -> float | None:
    length = told_length(container, Fraction(container.start_time or 0, av.time_base))
    return float(length) if length > 0 else None
