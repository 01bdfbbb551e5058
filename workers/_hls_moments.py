"""The times of pictures and sounds in segments, and whether two encodings of a group have the same; in a child."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import av
import av.logging
from av.container import InputContainer

from workers._hls_playlist import INIT
from workplatform.errors import EncoderError

# A sound that begins in the middle lacks the packets with which its encoder begins.
_MISSING_SOUNDS = 2


@dataclass(frozen=True, slots=True)
class Moments:
    """When the packets of a segment are shown, and heard, in ticks of their streams."""

    pictures: tuple[int, ...]
    sounds: tuple[int, ...]

    def goes_on_like(self, other: "Moments") -> bool:
        """Whether what follows the other can follow this too: all pictures are the same, and the last sounds."""
        heard = min(len(self.sounds), len(other.sounds))
        is_heard = self.sounds[len(self.sounds) - heard :] == other.sounds[len(other.sounds) - heard :]
        return self.pictures == other.pictures and is_heard and heard >= len(other.sounds) - _MISSING_SOUNDS


def first_moment(segment: Path) -> float:
    """Return when the first picture of a segment is shown, in seconds of its clock. Raises EncoderError."""
    try:
        with _open(segment, segment.parent) as container:
            stream = container.streams.video[0]
            times = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
            return float(min(times) * (stream.time_base or 0))
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise EncoderError(f"{segment.name} cannot be read") from error


def count_pictures(segments: Sequence[Path]) -> int:
    """Return how many pictures some segments have together. Raises EncoderError."""
    return sum(len(_moments(segment, segment.parent).pictures) for segment in segments)


def compare(pairs: Sequence[tuple[Path, Path]]) -> int | None:
    """Return how many pictures each group has, of a kept segment and one made again; None if they differ.

    Both are read by the initialization section that is kept. Raises EncoderError.
    """
    counts = set()
    for kept, again in pairs:
        before, after = _moments(kept, kept.parent), _moments(again, kept.parent)
        if not after.goes_on_like(before):
            return None
        counts.add(len(after.pictures))
    return counts.pop() if len(counts) == 1 else None


def _moments(segment: Path, folder: Path) -> Moments:
    times: dict[str, list[int]] = {"video": [], "audio": []}
    try:
        with _open(segment, folder) as container:
            for packet in container.demux():
                if packet.pts is not None:
                    times.setdefault(packet.stream.type, []).append(packet.pts)
    except av.FFmpegError as error:
        raise EncoderError(f"{segment.name} cannot be read") from error
    return Moments(tuple(times["video"]), tuple(times["audio"]))


def _open(segment: Path, folder: Path) -> InputContainer:
    """Open a segment, with its initialization section if it has one; no picture is decoded."""
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    init = folder / INIT
    content = BytesIO((init.read_bytes() if init.exists() else b"") + segment.read_bytes())
    return av.open(content, "r", options={"skip_frame": "all"})
