"""Opening a video file in-process: only real containers, only this one file, and as little probing as it allows."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from io import RawIOBase
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import av
import av.logging
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from workplatform.errors import BadInputError

# Demuxers of files that hold their own media. Those that follow references out of the file (concat, hls, dash, image2,
# sdp, ...) and those that see a video in any text (tty) are left out: libavformat refuses them before they read a byte
# more. The audio ones are here for the better sentence: an mp3 has no video stream.
_CONTAINERS = (
    "3dostr,aac,ac3,adts,aiff,amr,amv,apng,asf,asf_o,av1,avi,avif,avs2,avs3,bink,caf,cavsvideo,dhav,dirac,dnxhd,dv,eac3,"
    "evc,flac,flic,flv,gif,gxf,h261,h263,h264,hevc,ivf,ivr,jpegxl_anim,kux,live_flv,m4v,matroska,webm,mjpeg,mlv,"
    "mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,mpegvideo,mpjpeg,mtv,mv,mxf,nsv,nut,nuv,obu,ogg,rm,roq,smk,swf,"
    "ty,v210,vc1,vc1test,vivo,vvc,w64,wav,webp,wtv,wv,xmv,yuv4mpegpipe"
)
_UNPROBED = {"skip_frame": "all", "probesize": "32", "analyzeduration": "0"}
_MATROSKA = "matroska,webm"
_WITH_FULL_HEADERS = ("mov,mp4,m4a,3gp,3g2,mj2", _MATROSKA)
# A seek by time may land behind what is first.
_SOUGHT_BY_BYTES = ("mpegts", "mpeg")
_REFERENCES = (b"#extm3u", b"ffconcat", b"<?xml", b"<mpd", b"[playlist]", b"[reference]", b"v=0")
_MAX_PIXELS = 1 << 27
# A file on disk, or one whose bytes the library gets from us and can get from nowhere else.
Medium: TypeAlias = Path | RawIOBase
_SNIFFED_BYTES = 512
_Time = TypeVar("_Time", int, float, Fraction)


@dataclass(frozen=True, slots=True)
class Video:
    """An open file and the stream in it that people mean by "the video".

    `origin` and `declared_end` are in ticks of the stream's time base; `declared_end` is None where the header of the
    file does not say how long the stream is.
    """

    name: str
    container: InputContainer
    stream: VideoStream
    tick: Fraction
    origin: int
    declared_end: int | None

    @property
    def duration(self) -> Fraction:
        """Seconds from the origin to the declared end, or to that of the whole file; 0 if neither is known."""
        if self.declared_end is not None:
            return max((self.declared_end - self.origin) * self.tick, Fraction(0))
        return self.told_length

    @property
    def told_length(self) -> Fraction:
        """Seconds of the whole file as its header tells; 0 if it does not."""
        return told_length(self.container, self.origin * self.tick)

    @property
    def sample_aspect(self) -> Fraction:
        """Width of a pixel in units of its height."""
        aspect = self.stream.sample_aspect_ratio or self.stream.codec_context.sample_aspect_ratio
        return aspect if aspect and aspect > 0 else Fraction(1)

    @property
    def is_indexed(self) -> bool:
        """Whether a seek lands on the very keyframe that it asks for."""
        return is_indexed(self.container.format.name)

    @property
    def has_shown_times(self) -> bool:
        """Whether packets tell when their frame is shown; AVI numbers them as they are decoded."""
        return not (self.container.format.name == "avi" and self.stream.codec_context.name in {"h264", "hevc"})


def is_indexed(container: str) -> bool:
    """Whether a seek in files of this demuxer lands on the very keyframe that it asks for."""
    return container in _WITH_FULL_HEADERS


def told_length(container: InputContainer, begin: Fraction) -> Fraction:
    """Return how long a file that begins at `begin` lasts as its header tells, in seconds; 0 if it does not."""
    return lasting(container, Fraction(container.duration or 0, av.time_base), begin)


def lasting(container: InputContainer, told: _Time, begin: _Time) -> _Time:
    """Return how long the file, or a stream of it, lasts that begins at `begin` and of which the header tells `told`.

    In Matroska the library writes when they end, on their clock, for how long they last, which differs where the clock
    does not begin at zero.
    """
    tells_end = container.format.name == _MATROSKA and container.metadata.get("ENCODER", "").startswith("Lavf")
    return told - begin if tells_end and 0 < begin < told else told


def rewind(container: InputContainer, moment: int, stream: VideoStream | None = None) -> None:
    """Go to the first packet, which is at `moment`, in ticks of the stream or, without one, of the library.

    Raises av.FFmpegError.
    """
    if container.format.name not in _SOUGHT_BY_BYTES:
        with suppress(av.FFmpegError):  # FLV has no way to before the first picture
            container.seek(moment, stream=stream)
            return
    container.seek(0, unsupported_byte_offset=True)


@contextmanager
def open_video(medium: Medium, name: str, *, probe: bool) -> Iterator[Video]:
    """Open a video, a local file or one that is read through us; `name` is what its user calls it.

    Without `probe` the streams are taken as the container's header describes them, which spares decoding the first
    frames (1 ms instead of 15 to 60); containers without such a header are probed all the same. Raises BadInputError.
    """
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    container = _open(medium, name, {} if probe else _UNPROBED)
    try:
        if not probe and not (is_indexed(container.format.name) and _has_index(container)):
            container.close()
            container = _open(medium, name, {})
        yield _describe(container, name)
    finally:
        container.close()


def _has_index(container: InputContainer) -> bool:
    """Whether a seek works before anything was read.

    In a Matroska file that is cut off, or has no index, it fails, and what comes before the second keyframe is lost.
    """
    if container.format.name == _MATROSKA:
        try:
            container.seek(0)
        except av.FFmpegError:
            return False
    return True


def _open(medium: Medium, name: str, options: dict[str, str]) -> InputContainer:
    try:
        if isinstance(medium, Path):
            return _opened(f"file:{medium}", "file", options)
        medium.seek(0)
        return _opened(medium, "none", options)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise BadInputError(_why_not(medium, name)) from error


def _opened(file: Any, protocols: str, options: dict[str, str]) -> InputContainer:
    guarded = {"protocol_whitelist": protocols, "format_whitelist": _CONTAINERS}
    container: InputContainer = av.open(
        file, "r", options=options, container_options=guarded, metadata_errors="replace"
    )
    return container


def _sniffed(medium: Medium) -> bytes:
    if isinstance(medium, Path):
        with medium.open("rb") as file:
            return file.read(_SNIFFED_BYTES)
    medium.seek(0)
    return medium.read(_SNIFFED_BYTES) or b""


def _why_not(medium: Medium, name: str) -> str:
    start = _sniffed(medium).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        return f"not a video: {name} is empty"
    if start.startswith(_REFERENCES):
        return f"not a video: {name} is a playlist that refers to other files"
    if b"ftyp" in start[:12] or start.startswith((b"\x1a\x45\xdf\xa3", b"riff", b"flv")):
        return f"damaged video: {name} is cut off or its index is missing"
    return f"not a video: no video stream in {name}"


def _describe(container: InputContainer, name: str) -> Video:
    stream = _main_stream(container, name)
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > _MAX_PIXELS:
        raise BadInputError(
            f"{name} is too large: {width} x {height} pixels a frame, at most {_MAX_PIXELS} are allowed"
        )
    tick = stream.time_base or Fraction(1, av.time_base)
    origin = _origin(container, stream, tick)
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    end = None
    if stream.duration:
        begin = stream.start_time if stream.start_time is not None else origin
        end = begin + lasting(container, stream.duration, begin)
    return Video(name, container, stream, tick, origin, end)


def _main_stream(container: InputContainer, name: str) -> VideoStream:
    streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not streams:
        cover = " (only cover art)" if container.streams.video else ""
        raise BadInputError(f"not a video: no video stream in {name}{cover}")
    known = [one for one in streams if getattr(one, "codec_context", None) is not None]
    stream = max(
        known, key=lambda one: (bool(one.disposition & Disposition.default), one.width * one.height), default=None
    )
    if stream is None:
        raise BadInputError(f"{name} holds a video that cannot be decoded here: its codec is unknown")
    return stream


def _origin(container: InputContainer, stream: VideoStream, tick: Fraction) -> int:
    """Find where the file's timeline starts, as ffmpeg does: the first moment of any stream.

    A negative one is the priming of an audio encoder, not a start: frame times would be off by it.
    """
    if container.start_time is not None:
        start = Fraction(container.start_time, av.time_base)
    elif container.format.name in _WITH_FULL_HEADERS:
        start = _first_moment(container)
        container.seek(0)
    else:
        start = Fraction(0)
    if start < 0:
        own = stream.start_time * tick if stream.start_time is not None else Fraction(0)
        start = min(own, Fraction(0))
    return round(start / tick)


def _first_moment(container: InputContainer) -> Fraction:
    """Return the earliest time, in seconds, among the first packets of the streams."""
    first: dict[int, Fraction] = {}
    try:
        for count, packet in enumerate(container.demux()):
            if packet.pts is not None:
                first.setdefault(packet.stream_index, packet.pts * packet.time_base)
            if count == 64 or len(first) == len(container.streams):
                break
    except av.FFmpegError:
        return Fraction(0)
    return min(first.values(), default=Fraction(0))
