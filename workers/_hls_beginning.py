"""What the first segment of a rendition tells; read in an isolated child."""

from collections.abc import Sequence
from pathlib import Path

from workers._hls_moments import first_moment
from workers._hls_playlist import CLOCK_START_S, MediaPlaylist
from workers._hls_segment_files import opened

_AAC_OBJECT_TYPES = {"LC": 2, "HE-AAC": 5, "HE-AACv2": 29}


def sound_codecs(renditions: Sequence[tuple[Path, MediaPlaylist]]) -> list[str]:
    """Return the RFC 6381 name of the codec of each rendition of a sound. Raises EncoderError."""
    return [_sound_codec(folder, playlist) for folder, playlist in renditions]


def _sound_codec(folder: Path, playlist: MediaPlaylist) -> str:
    with opened(folder / playlist.segments[0].name) as container:
        profile = container.streams.audio[0].profile if container.streams.audio else None
        return f"mp4a.40.{_AAC_OBJECT_TYPES[profile or 'LC']}"


def first_picture_s(folder: Path, playlist: MediaPlaylist) -> float:
    """Return when the first picture is shown, seconds after the beginning of the source. Raises EncoderError."""
    return first_moment(folder / playlist.segments[0].name) - CLOCK_START_S
