"""Media playlists (RFC 8216bis section 4.4.3): reading ours, and writing them from what they list."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

MEDIA_PLAYLIST = "playlist.m3u8"
SEGMENT_PATTERN = "segment_%05d.ts"
INIT = "init.mp4"
SEGMENT_S = 6
# What the clock of every rendition says at the source's beginning: pictures, sounds and subtitles that come from
# different processes stay together by it, and what is decoded or primed before that moment has room.
CLOCK_START_S = 10

_SEGMENT_NAME = re.compile(r"segment_[0-9]{5,6}\.(ts|m4s|vtt)")
_DURATION = re.compile(r"#EXTINF:(\d+(?:\.\d+)?),")
_RANGE = re.compile(r"#EXT-X-BYTERANGE:(\d+)@(\d+)")
_MAP = "#EXT-X-MAP:"
_KEY = "#EXT-X-KEY:"
_OWN_KEY = re.compile(r'URI="(\.\./keys/[0-9]+\.key)"')
_INDEPENDENT = "#EXT-X-INDEPENDENT-SEGMENTS"
_ONLY_IFRAMES = "#EXT-X-I-FRAMES-ONLY"
# A run of segments shorter than this says nothing about what a network has to carry.
_SHORTEST_RUN_S = 1.0
_LONGEST_RUN = 1.5
# Sound goes on for less than that after the picture it belongs to.
_NOTABLY_S = 0.1


class IncompletePlaylistError(Exception):
    """A playlist, or something that it lists, is missing or not finished."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One entry of a media playlist: `size_bytes` from byte `start` of its file on, all of it where that is None.

    `keys` are lines of the playlist that hold from this segment on.
    """

    name: str
    duration_s: float
    size_bytes: int
    start: int | None = None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """The segments of one rendition; `head` are the lines before them that name its initialization section."""

    segments: tuple[Segment, ...]
    head: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """How long the rendition is."""
        return sum(segment.duration_s for segment in self.segments)

    @property
    def size_bytes(self) -> int:
        """How large the segments are together."""
        return sum(segment.size_bytes for segment in self.segments)

    def lasting(self, length_s: float, *, is_sure: bool) -> "MediaPlaylist":
        """Return it with the real length of its last segment, or with that at least if it is not sure.

        ffmpeg sums up what it takes the pictures' lengths for, which is wrong where their rate varies.
        """
        *others, last = self.segments
        longer_s = length_s - last.duration_s
        if abs(longer_s) < _NOTABLY_S or (longer_s < 0 and not is_sure):
            return self
        return replace(self, segments=(*others, replace(last, duration_s=length_s)))

    @property
    def target_s(self) -> int:
        """The least target duration, in whole seconds, that these segments allow; at 0 players would stop."""
        return max((1, *(math.floor(segment.duration_s + 0.5) for segment in self.segments)))

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


def media_playlist(
    playlist: MediaPlaylist,
    *,
    target_s: int | None = None,
    kind: Literal["VOD", "EVENT"] = "VOD",
    tags: Iterable[str] = (_INDEPENDENT,),
    is_complete: bool = True,
) -> str:
    """Return the text of a playlist; `tags` are those that hold for all of it.

    All renditions of a stream have the same `target_s` (section 6.2.4), except subtitles and I-frames. An EVENT
    playlist that is not complete may only grow.
    """
    tags = list(tags)
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_version(playlist, tags)}"]
    lines += [f"#EXT-X-TARGETDURATION:{target_s or playlist.target_s}", "#EXT-X-MEDIA-SEQUENCE:0"]
    lines += [f"#EXT-X-PLAYLIST-TYPE:{kind}", *tags, *playlist.head]
    for segment in playlist.segments:
        lines += [*segment.keys, f"#EXTINF:{segment.duration_s:.6f},"]
        if segment.start is not None:
            lines.append(f"#EXT-X-BYTERANGE:{segment.size_bytes}@{segment.start}")
        lines.append(segment.name)
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if is_complete else []), ""])


def iframe_playlist(playlist: MediaPlaylist) -> str:
    """Return the text of a playlist whose entries are single keyframes."""
    return media_playlist(playlist, tags=(_ONLY_IFRAMES,))


def _version(playlist: MediaPlaylist, tags: list[str]) -> int:
    """Return the protocol version that the tags need (section 8)."""
    has_map = any(line.startswith(_MAP) for line in playlist.head)
    if _ONLY_IFRAMES in tags:
        return 5 if has_map else 4
    return 6 if has_map else 3


def segment_pattern(segment_type: Literal["ts", "fmp4"]) -> str:
    """Return what the muxer names the segments of a rendition of the picture."""
    return SEGMENT_PATTERN if segment_type == "ts" else SEGMENT_PATTERN.replace(".ts", ".m4s")


def map_line(name: str) -> str:
    """Return the line that names the initialization section of what follows."""
    return f'{_MAP}URI="{name}"'


def read_media_playlist(path: Path) -> MediaPlaylist:
    """Read a finished playlist of ours and the sizes of its segments. Raises IncompletePlaylistError."""
    lines = read_lines(path)
    if "#EXT-X-ENDLIST" not in lines:
        raise IncompletePlaylistError(f"{path.name} is not finished")
    last_map = max((place for place, line in enumerate(lines) if line.startswith(_MAP)), default=-1)
    head = tuple(line for line in lines[: last_map + 1] if line.startswith((_KEY, _MAP)))
    if head and not _size(path.parent, INIT):
        raise IncompletePlaylistError(f"{path.parent.name}/{INIT} is missing")
    segments = _segments(path.parent, lines[last_map + 1 :])
    if not segments or sum(segment.duration_s for segment in segments) <= 0:
        raise IncompletePlaylistError(f"{path.name} lists no segments")
    return MediaPlaylist(segments, head)


def _segments(folder: Path, lines: Iterable[str]) -> tuple[Segment, ...]:
    found: list[Segment] = []
    about = Segment("", -1.0, 0)
    for line in lines:
        if match := _DURATION.match(line):
            about = replace(about, duration_s=float(match[1]))
        elif match := _RANGE.match(line):
            about = replace(about, size_bytes=int(match[1]), start=int(match[2]))
        elif line.startswith(_KEY):
            if (own := _OWN_KEY.search(line)) and not _size(folder, own[1]):
                raise IncompletePlaylistError(f"{own[1]} is missing")
            about = replace(about, keys=(line,))
        elif line and not line.startswith("#"):
            found.append(_listed(folder, replace(about, name=line)))
            about = Segment("", -1.0, 0)
    return tuple(found)


def _listed(folder: Path, about: Segment) -> Segment:
    """Return a segment as it is on the disk."""
    size = _size(folder, about.name) if _SEGMENT_NAME.fullmatch(about.name) else 0
    if not size or about.duration_s < 0 or (about.start or 0) + about.size_bytes > size:
        raise IncompletePlaylistError(f"{folder.name}/{about.name} is missing")
    return about if about.start is not None else replace(about, size_bytes=size)


def _size(folder: Path, name: str) -> int:
    try:
        return (folder / name).stat().st_size
    except OSError:
        return 0


def read_lines(path: Path) -> list[str]:
    """Return the lines of a playlist. Raises IncompletePlaylistError."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise IncompletePlaylistError(f"{path.name} cannot be read") from error
