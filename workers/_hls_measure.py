"""What players are told about a rendition, measured from its bitstream; runs in an isolated child."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import av.logging
from av.container import InputContainer

from workers._hls_command import MAX_FRAME_RATE
from workers._hls_playlist import MEDIA_PLAYLIST
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


def measure(folder: Path, names: Sequence[str]) -> list[Measured]:
    """Measure the renditions in the subfolders of these names. Raises EncoderError if one cannot be read.

    All have the same frames, so these are counted once, in the rendition that is smallest to read.
    """
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    try:
        smallest = min(names, key=lambda name: sum(file.stat().st_size for file in (folder / name).iterdir()))
        rate = _frame_rate(folder / smallest / MEDIA_PLAYLIST)
        return [_measured(folder / name, rate) for name in names]
    except av.FFmpegError as error:
        raise EncoderError(f"what was encoded cannot be read: {error.strerror}") from error


def _measured(folder: Path, rate: float | None) -> Measured:
    with _open(min(folder.glob("segment_*.ts"))) as container:
        stream = container.streams.video[0]
        packets = container.demux(stream)
        # A segment begins with a keyframe, and this with the parameter sets.
        first = next(packets)
        codecs = [avc_codec(bytes(first))]
        codecs += [f"mp4a.40.{_AAC_OBJECT_TYPES[audio.profile or 'LC']}" for audio in container.streams.audio]
        for packet in chain((first,), packets):
            for frame in stream.decode(packet):
                return Measured(",".join(codecs), frame.width, frame.height, rate)
    raise EncoderError(f"the first segment of {folder.name} has no picture")


def _frame_rate(playlist: Path) -> float | None:
    with _open(playlist) as container:
        stream = container.streams.video[0]
        times = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
        tick = stream.time_base or Fraction(1, 90_000)
    if len(times) < 2:
        return None
    return float((len(times) - 1) / ((max(times) - min(times)) * tick))


def lone_rate(source_rate: Fraction | None, duration_s: float) -> float:
    """Return the frame rate of a single picture: the one its source names, else what showing it so long amounts to."""
    return min(float(source_rate or 1 / duration_s), MAX_FRAME_RATE)


def _open(path: Path) -> InputContainer:
    return av.open(f"file:{path}", "r", container_options={"protocol_whitelist": "file"})


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
