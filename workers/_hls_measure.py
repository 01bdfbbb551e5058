"""What players are told about a rendition, measured from its bitstream; runs in an isolated child."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from workers._codec_names import aac_name, video_name
from workers._hls_command import MAX_FRAME_RATE
from workers._hls_playlist import MediaPlaylist, Segment
from workers._hls_segment_files import opened
from workplatform.errors import EncoderError

# The ranges of light that are not ordinary, by the transfer characteristics of ISO/IEC 23091-2.
_VIDEO_RANGES = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True, slots=True)
class Measured:
    """One rendition: `codecs` after RFC 6381, size in pixels, frames per second (None: a single picture).

    `video_range` is that of the playlist's attribute, None for the ordinary one.
    """

    codecs: str
    width: int
    height: int
    frame_rate: float | None
    video_range: str | None


def measure(folder: Path, playlists: Mapping[str, MediaPlaylist], frames: int) -> list[Measured]:
    """Measure the renditions in the subfolders of these names; each holds `frames` pictures.

    Raises EncoderError if one cannot be read.
    """
    smallest = min(playlists, key=lambda name: playlists[name].size_bytes)
    try:
        segments = playlists[smallest].segments
        rate = _frame_rate(folder / smallest, segments, frames)
        video_range = _video_range(folder / smallest / segments[0].name)
        return [
            Measured(*_described(folder / name / playlist.segments[0].name), rate, video_range)
            for name, playlist in playlists.items()
        ]
    except ValueError as error:
        raise EncoderError(f"what was encoded cannot be named: {error}") from error


def _described(path: Path) -> tuple[str, int, int]:
    """Return the codecs and the size of a rendition by its first segment."""
    with opened(path) as container:
        stream = container.streams.video[0]
        # A segment begins with a keyframe, and this with the parameter sets where no initialization section has them.
        codecs = [video_name(stream.codec_context, bytes(next(container.demux(stream))))]
        codecs += [aac_name(audio.profile) for audio in container.streams.audio]
        return ",".join(codecs), stream.width, stream.height


def _video_range(path: Path) -> str | None:
    """Return what light the pictures of a stream mean: only decoding one tells it for sure."""
    with opened(path, decodes=True) as container:
        frame = next(container.decode(video=0), None)
        return _VIDEO_RANGES.get(int(frame.color_trc)) if frame else None


def _frame_rate(folder: Path, segments: Sequence[Segment], frames: int) -> float | None:
    """Return frames over time from the first picture to the last.

    Playlists tell how far the first pictures of two segments are apart; only the last segment has to be read.
    """
    if frames < 2:
        return None
    with opened(folder / segments[-1].name) as container:
        stream = container.streams.video[0]
        times = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
        tick = stream.time_base or Fraction(1, 90_000)
    span_s = sum(segment.duration_s for segment in segments[:-1]) + float((max(times) - min(times)) * tick)
    return round((frames - 1) / span_s, 6)


def lone_rate(source_rate: Fraction | None, duration_s: float) -> float:
    """Return the frame rate of a single picture: the one its source names, else what showing it so long amounts to."""
    return min(float(source_rate or 1 / duration_s), MAX_FRAME_RATE)
