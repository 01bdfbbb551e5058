"""The times of pictures and sounds in segments, and whether two encodings of a group have the same; in a child."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from workers._hls_segment_files import opened
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
    with opened(segment) as container:
        times = [packet.pts * packet.time_base for packet in container.demux(video=0) if packet.pts is not None]
    if not times:
        raise EncoderError(f"{segment.parent.name}/{segment.name}, which was encoded, has no pictures")
    return float(min(times))


def lengths_s(segments: Sequence[Path]) -> list[tuple[float, bool]]:
    """Return how long each segment lasts, from its first picture to the end of its sound or of its last picture.

    Without sound (False) nothing tells how long the last picture is shown. Raises EncoderError.
    """
    return [_length_s(segment) for segment in segments]


def _length_s(segment: Path) -> tuple[float, bool]:
    with opened(segment) as container:
        ends = [
            (packet.pts + (packet.duration or 0)) * (packet.time_base or Fraction(1))
            for packet in container.demux()
            if packet.pts is not None
        ]
        has_sound, has_picture = bool(container.streams.audio), bool(container.streams.video)
    return (float(max(ends)) - first_moment(segment) if ends and has_picture else 0.0), has_sound and has_picture


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
    with opened(segment, of=folder) as container:
        for packet in container.demux():
            if packet.pts is not None:
                moment = packet.pts * (packet.time_base or Fraction(1))
                times.setdefault(packet.stream.type, []).append((packet.pts, moment))
    first = min((moment for _, moment in times["video"]), default=Fraction(0))
    return Moments(
        pictures=tuple(tick for tick, _ in times["video"]),
        sounds=tuple(tick for tick, moment in times["audio"] if moment >= first),
    )
