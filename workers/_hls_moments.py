"""The times of pictures and sounds in segments, and whether two encodings of a group have the same; in a child."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import av.logging
from av.container import InputContainer

from workers._hls_playlist import INIT
from workplatform.errors import EncoderError


@dataclass(frozen=True, slots=True)
class Moments:
    """When the pictures of a segment are shown, and its sounds from the first of them on, in ticks of their streams.

    Sounds before the first picture came with it because of the order of decoding; who begins there has not all of them.
    """

    pictures: tuple[int, ...]
    sounds: tuple[int, ...]


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
        moments = _moments(again, kept.parent)
        if moments != _moments(kept, kept.parent):
            return None
        counts.add(len(moments.pictures))
    return counts.pop() if len(counts) == 1 else None


def _moments(segment: Path, folder: Path) -> Moments:
    times: dict[str, list[tuple[int, Fraction]]] = {"video": [], "audio": []}
    try:
        with _open(segment, folder) as container:
            for packet in container.demux():
                if packet.pts is not None:
                    moment = packet.pts * (packet.time_base or Fraction(1))
                    times.setdefault(packet.stream.type, []).append((packet.pts, moment))
    except av.FFmpegError as error:
        raise EncoderError(f"{segment.name} cannot be read") from error
    first = min((moment for _, moment in times["video"]), default=Fraction(0))
    return Moments(
        pictures=tuple(tick for tick, _ in times["video"]),
        sounds=tuple(tick for tick, moment in times["audio"] if moment >= first),
    )


def _open(segment: Path, folder: Path) -> InputContainer:
    """Open a segment, with its initialization section if it has one; no picture is decoded."""
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    init = folder / INIT
    content = BytesIO((init.read_bytes() if init.exists() else b"") + segment.read_bytes())
    return av.open(content, "r", options={"skip_frame": "all"})
