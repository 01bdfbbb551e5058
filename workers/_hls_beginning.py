"""What the first segment of a rendition tells; read in an isolated child."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import av
import av.logging
from av.container import InputContainer

from workers._hls_playlist import CLOCK_START_S, INIT, MediaPlaylist
from workplatform.errors import EncoderError

_AAC_OBJECT_TYPES = {"LC": 2, "HE-AAC": 5, "HE-AACv2": 29}


def sound_codecs(renditions: Sequence[tuple[Path, MediaPlaylist]]) -> list[str]:
    """Return the RFC 6381 name of the codec of each rendition of a sound. Raises EncoderError."""
    return [_sound_codec(folder, playlist) for folder, playlist in renditions]


def _sound_codec(folder: Path, playlist: MediaPlaylist) -> str:
    with _opened(folder, playlist) as container:
        profile = container.streams.audio[0].profile if container.streams.audio else None
        return f"mp4a.40.{_AAC_OBJECT_TYPES[profile or 'LC']}"


def first_picture_s(folder: Path, playlist: MediaPlaylist) -> float:
    """Return when the first picture is shown, seconds after the beginning of the source. Raises EncoderError."""
    with _opened(folder, playlist) as container:
        times = [packet.pts * packet.time_base for packet in container.demux(video=0) if packet.pts is not None]
        return float(min(times, default=CLOCK_START_S)) - CLOCK_START_S


@contextmanager
def _opened(folder: Path, playlist: MediaPlaylist) -> Iterator[InputContainer]:
    """Open the first segment, behind its initialization section if it has one."""
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    content = (folder / INIT).read_bytes() if playlist.head else b""
    content += (folder / playlist.segments[0].name).read_bytes()
    try:
        with av.open(BytesIO(content), "r", container_options={"protocol_whitelist": "none"}) as container:
            yield container
    except av.FFmpegError as error:
        raise EncoderError(f"what was encoded cannot be read: {error.strerror}") from error
