"""HLS playlists (RFC 8216): reading what was produced, and writing the master that makes it complete."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

MASTER = "master.m3u8"
MEDIA_PLAYLIST = "playlist.m3u8"
SEGMENT_PATTERN = "segment_%05d.ts"
SEGMENT_S = 6
# What the clock of every rendition says at the source's beginning: pictures, sounds and subtitles that come from
# different processes stay together by it, and what is decoded or primed before that moment has room.
CLOCK_START_S = 10

_DIGIT = "[0-9]"
# What earlier jobs may have left: these names and no others, so that files of somebody else stay. Six digits are for
# videos of more than a week.
OWNED = (f"*/{MEDIA_PLAYLIST}", f"*/segment_{5 * _DIGIT}.ts", f"*/segment_{6 * _DIGIT}.ts")

_SEGMENT_NAME = re.compile(r"segment_[0-9]{5,6}\.ts")
_DURATION = re.compile(r"#EXTINF:(\d+(?:\.\d+)?),")
_ATTRIBUTE = re.compile(r'([A-Z-]+)=("[^"]*"|[^,]*)')
_VARIANT = "#EXT-X-STREAM-INF:"
_ORIGIN = "# made from "
# A run of segments shorter than this says nothing about what a network has to carry.
_SHORTEST_RUN_S = 1.0
_LONGEST_RUN = 1.5
# What the master can say with three decimals.
_LOWEST_FRAME_RATE = 0.001


class IncompletePlaylistError(Exception):
    """A playlist, or something that it lists, is missing or not finished."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One entry of a media playlist."""

    name: str
    duration_s: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """The segments of one rendition."""

    segments: tuple[Segment, ...]

    @property
    def duration_s(self) -> float:
        """How long the rendition is."""
        return sum(segment.duration_s for segment in self.segments)

    @property
    def size_bytes(self) -> int:
        """How large the segments are together."""
        return sum(segment.size_bytes for segment in self.segments)

    @property
    def average_bandwidth(self) -> int:
        """Bits per second over the whole rendition."""
        return round(8 * self.size_bytes / self.duration_s)

    @property
    def peak_bandwidth(self) -> int:
        """Bits per second of the most demanding run of segments (RFC 8216 section 4.3.4.2, peak segment bit rate).

        The RFC looks at runs of half to one and a half target durations. A shorter last segment counts here too, down
        to a second, so that no segment of that length exceeds the figure.
        """
        longest_s = _LONGEST_RUN * max(round(segment.duration_s) for segment in self.segments)
        peak = 8 * self.size_bytes / self.duration_s
        for first in range(len(self.segments)):
            bits, run_s = 0, 0.0
            for segment in self.segments[first:]:
                bits, run_s = bits + 8 * segment.size_bytes, run_s + segment.duration_s
                if run_s > longest_s:
                    break
                if run_s >= _SHORTEST_RUN_S:
                    peak = max(peak, bits / run_s)
        return math.ceil(peak)


@dataclass(frozen=True, slots=True)
class Variant:
    """One rendition as the master playlist tells players."""

    name: str
    width: int
    height: int
    codecs: str
    frame_rate: float
    bandwidth: int
    average_bandwidth: int


@dataclass(frozen=True, slots=True)
class Package:
    """A complete output: its variants and, in the same order, their segments."""

    variants: tuple[Variant, ...]
    playlists: tuple[MediaPlaylist, ...]


def read_media_playlist(path: Path) -> MediaPlaylist:
    """Read a finished playlist of ours and the sizes of its segments. Raises IncompletePlaylistError."""
    lines = _lines(path)
    if "#EXT-X-ENDLIST" not in lines:
        raise IncompletePlaylistError(f"{path.name} is not finished")
    durations = [float(match[1]) for match in map(_DURATION.match, lines) if match]
    names = [line for line in lines if line and not line.startswith("#")]
    if not names or len(names) != len(durations) or sum(durations) <= 0:
        raise IncompletePlaylistError(f"{path.name} lists no segments")
    return MediaPlaylist(
        tuple(Segment(name, s, _size(path.parent, name)) for name, s in zip(names, durations, strict=True))
    )


def raise_target_duration(path: Path) -> None:
    """Make the target duration at least a second: the muxer writes 0 for short videos, at which players stop."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("#EXT-X-TARGETDURATION:0\n", "#EXT-X-TARGETDURATION:1\n"), encoding="utf-8")


def _size(folder: Path, name: str) -> int:
    try:
        size = (folder / name).stat().st_size if _SEGMENT_NAME.fullmatch(name) else 0
    except OSError:
        size = 0
    if not size:
        raise IncompletePlaylistError(f"{folder.name}/{name} is missing")
    return size


def master_playlist(variants: Iterable[Variant], origin: str) -> str:
    """Return the text of a master playlist; `origin` is kept in a comment and says what the output was made from."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS", f"{_ORIGIN}{origin}"]
    for variant in variants:
        rate = max(variant.frame_rate, _LOWEST_FRAME_RATE)
        lines.append(
            f"{_VARIANT}BANDWIDTH={variant.bandwidth},AVERAGE-BANDWIDTH={variant.average_bandwidth},"
            f'CODECS="{variant.codecs}",RESOLUTION={variant.width}x{variant.height},'
            f"FRAME-RATE={rate:.3f}"
        )
        lines.append(f"{variant.name}/{MEDIA_PLAYLIST}")
    return "\n".join([*lines, ""])


def read_package(folder: Path, names: Sequence[str], origin: str) -> Package:
    """Read an output that has these renditions and was made from this origin. Raises IncompletePlaylistError."""
    lines = _lines(folder / MASTER)
    if f"{_ORIGIN}{origin}" not in lines:
        raise IncompletePlaylistError("it was made from another source or with other settings")
    try:
        variants = tuple(_variant(line, uri) for line, uri in pairwise(lines) if line.startswith(_VARIANT))
    except (KeyError, ValueError) as error:
        raise IncompletePlaylistError(f"{MASTER} is damaged") from error
    if [variant.name for variant in variants] != list(names):
        raise IncompletePlaylistError("it has other renditions")
    return Package(variants, tuple(read_media_playlist(folder / name / MEDIA_PLAYLIST) for name in names))


def _variant(line: str, uri: str) -> Variant:
    found = {key: value.strip('"') for key, value in _ATTRIBUTE.findall(line.removeprefix(_VARIANT))}
    width, _, height = found["RESOLUTION"].partition("x")
    return Variant(
        name=uri.removesuffix(f"/{MEDIA_PLAYLIST}"),
        width=int(width),
        height=int(height),
        codecs=found["CODECS"],
        frame_rate=float(found["FRAME-RATE"]),
        bandwidth=int(found["BANDWIDTH"]),
        average_bandwidth=int(found["AVERAGE-BANDWIDTH"]),
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise IncompletePlaylistError(f"{path.name} cannot be read") from error
