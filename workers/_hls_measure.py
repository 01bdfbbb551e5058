"""What players are told about a rendition, measured from its bitstream; runs in an isolated child."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.logging
from av.container import InputContainer

from workers._hls_command import MAX_FRAME_RATE
from workers._hls_playlist import MediaPlaylist, Segment
from workplatform.errors import EncoderError

_SPS = 7
_AAC_OBJECT_TYPES = {"LC": 2, "HE-AAC": 5, "HE-AACv2": 29}


@dataclass(frozen=True, slots=True)
class Measured:
    """One rendition: `codecs` after RFC 6381, size in pixels, frames per second (None: a single picture)."""

    codecs: str
    width: int
    height: int
    frame_rate: float | None


def measure(folder: Path, playlists: Mapping[str, MediaPlaylist], frames: int) -> list[Measured]:
    """Measure the renditions in the subfolders of these names; each holds `frames` pictures.

    Raises EncoderError if one cannot be read.
    """
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    smallest = min(playlists, key=lambda name: playlists[name].size_bytes)
    try:
        rate = _frame_rate(folder / smallest, playlists[smallest].segments, frames)
        return [_measured(folder / name, playlist.segments[0], rate) for name, playlist in playlists.items()]
    except av.FFmpegError as error:
        raise EncoderError(f"what was encoded cannot be read: {error.strerror}") from error


def _measured(folder: Path, segment: Segment, rate: float | None) -> Measured:
    with _open(folder / segment.name) as container:
        stream = container.streams.video[0]
        # A segment begins with a keyframe, and this with the parameter sets.
        codecs = [avc_codec(bytes(next(container.demux(stream))))]
        codecs += [f"mp4a.40.{_AAC_OBJECT_TYPES[audio.profile or 'LC']}" for audio in container.streams.audio]
        return Measured(",".join(codecs), stream.width, stream.height, rate)


def _frame_rate(folder: Path, segments: Sequence[Segment], frames: int) -> float | None:
    """Return frames over time from the first picture to the last.

    Playlists tell how far the first pictures of two segments are apart; only the last segment has to be read.
    """
    if frames < 2:
        return None
    with _open(folder / segments[-1].name) as container:
        stream = container.streams.video[0]
        times = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
        tick = stream.time_base or Fraction(1, 90_000)
    span_s = sum(segment.duration_s for segment in segments[:-1]) + float((max(times) - min(times)) * tick)
    return round((frames - 1) / span_s, 6)


def lone_rate(source_rate: Fraction | None, duration_s: float) -> float:
    """Return the frame rate of a single picture: the one its source names, else what showing it so long amounts to."""
    return min(float(source_rate or 1 / duration_s), MAX_FRAME_RATE)


def _open(path: Path) -> InputContainer:
    """Open a segment; its headers are parsed and no picture is decoded."""
    options = {"skip_frame": "all"}
    return av.open(f"file:{path}", "r", options=options, container_options={"protocol_whitelist": "file"})


def avc_codec(stream: bytes) -> str:
    """Return the RFC 6381 name of an H.264 byte stream: `avc1.` and the SPS's profile, constraints and level in hex.

    Raises EncoderError if there is no sequence parameter set (SPS).
    """
    start = stream.find(b"\x00\x00\x01")
    while start >= 0:
        unit = stream[start + 3 :]
        if len(unit) >= 4 and unit[0] & 0x1F == _SPS:
            return f"avc1.{unit[1:4].hex()}"
        start = stream.find(b"\x00\x00\x01", start + 3)
    raise EncoderError("what was encoded has no sequence parameter set")
