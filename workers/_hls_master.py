"""The master playlist (RFC 8216bis section 4.4.6): what it tells players, and the package that it makes complete."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from workers._hls_playlist import (
    INIT,
    MEDIA_PLAYLIST,
    IncompletePlaylistError,
    MediaPlaylist,
    read_lines,
    read_media_playlist,
)

MASTER = "master.m3u8"
POSTER = "poster.jpg"
IFRAME_PLAYLIST = "iframes.m3u8"
SUBTITLES_GROUP = "subtitles"
KEY_PATTERN = "keys/%03d.key"

_DIGIT = "[0-9]"
# What earlier jobs may have left: these names and no others, so that files of somebody else stay. Six digits are for
# videos of more than a week.
OWNED = (
    POSTER,
    *(f"*/{name}" for name in (MEDIA_PLAYLIST, IFRAME_PLAYLIST, INIT)),
    *(f"*/segment_{digits * _DIGIT}.{suffix}" for digits in (5, 6) for suffix in ("ts", "m4s", "vtt")),
    *(f"keys/{digits * _DIGIT}.key" for digits in (3, 4, 5)),
)

_VARIANT = "#EXT-X-STREAM-INF:"
_MEDIA = "#EXT-X-MEDIA:"
_IFRAMES = "#EXT-X-I-FRAME-STREAM-INF:"
_ORIGIN = "# made from "
_HOLDS = "# holds "
# What the master can say with three decimals.
_LOWEST_FRAME_RATE = 0.001

# What the master of a stream that is shown early was made from.
UNFINISHED = "what a job has done so far"

Attributes = dict[str, str]


@dataclass(frozen=True, slots=True)
class Variant:
    """One rendition of the picture as the master playlist tells players; `bandwidth` is its own, bits per second.

    `audio` is the group that its sound comes from, None where that is in its own segments.
    """

    name: str
    width: int
    height: int
    codecs: str
    frame_rate: float
    bandwidth: int
    average_bandwidth: int
    audio: str | None = None
    video_range: str | None = None
    is_copied: bool = False


@dataclass(frozen=True, slots=True)
class Track:
    """A rendition of the sound or of the subtitles, in a folder of its own, one of the `group` of its kind.

    `is_default` is what is played unless somebody chooses; it `is_autoselect` too, which is what a player may choose by
    the languages of its user.
    """

    kind: Literal["AUDIO", "SUBTITLES"]
    folder: str
    group: str
    name: str
    language: str | None = None
    is_default: bool = False
    is_autoselect: bool = True
    is_forced: bool = False
    channels: int | None = None
    characteristics: str | None = None
    codecs: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """A complete output: its variants and, in the same order, their segments; then what accompanies them.

    `audio_only` is the group whose sound is offered without a picture.
    """

    variants: tuple[Variant, ...]
    playlists: tuple[MediaPlaylist, ...]
    tracks: tuple[Track, ...] = ()
    track_playlists: tuple[MediaPlaylist, ...] = ()
    iframes: tuple[MediaPlaylist, ...] = ()
    audio_only: str | None = None
    has_poster: bool = False

    @property
    def keys(self) -> list[str]:
        """The files of the keys, each in use from some segment on."""
        playlists = (*self.playlists, *self.track_playlists)
        changes = (sum(bool(segment.keys) for segment in playlist.segments) for playlist in playlists)
        return [KEY_PATTERN % number for number in range(max(changes, default=0))]

    def sounds(self, group: str | None) -> list[tuple[Track, MediaPlaylist]]:
        """Return the audio tracks of a group."""
        both = zip(self.tracks, self.track_playlists, strict=True)
        return [(track, playlist) for track, playlist in both if track.kind == "AUDIO" and track.group == group]


@dataclass(frozen=True, slots=True)
class _Held:
    """What of a package its playlists do not tell."""

    variants: tuple[Variant, ...]
    tracks: tuple[Track, ...]
    has_iframes: bool
    audio_only: str | None
    has_poster: bool


_HELD = TypeAdapter(_Held)


def master_playlist(package: Package, origin: str) -> str:
    """Return the text of a master playlist; `origin` says what the output was made from.

    Comments keep it, and the package, so that the package can be read back as it is here.
    """
    held = _Held(package.variants, package.tracks, bool(package.iframes), package.audio_only, package.has_poster)
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS", f"{_ORIGIN}{origin}"]
    lines.append(_HOLDS + json.dumps(asdict(held), separators=(",", ":")))
    lines += [_MEDIA + _written(_track_attributes(track)) for track in package.tracks]
    for variant in package.variants:
        lines.append(_VARIANT + _written(_variant_attributes(package, variant)))
        lines.append(f"{variant.name}/{MEDIA_PLAYLIST}")
    if package.audio_only:
        lines += [*_sound_alone(package, package.audio_only)]
    for variant, iframes in zip(package.variants, package.iframes, strict=False):
        lines.append(_IFRAMES + _written(_iframe_attributes(variant, iframes)))
    return "\n".join([*lines, ""])


def _written(attributes: Attributes) -> str:
    return ",".join(f"{key}={value}" for key, value in attributes.items())


def _variant_attributes(package: Package, variant: Variant) -> Attributes:
    """Return what is said of a variant: with the most demanding sound that it can be played with."""
    sounds = package.sounds(variant.audio)
    peak = max((playlist.peak_bandwidth for _, playlist in sounds), default=0)
    average = max((playlist.average_bandwidth for _, playlist in sounds), default=0)
    codecs = [variant.codecs, *sorted({track.codecs for track, _ in sounds})]
    return {
        "BANDWIDTH": str(variant.bandwidth + peak),
        "AVERAGE-BANDWIDTH": str(variant.average_bandwidth + average),
        "CODECS": f'"{",".join(codecs)}"',
        **_picture(variant),
        "FRAME-RATE": f"{max(variant.frame_rate, _LOWEST_FRAME_RATE):.3f}",
        **_groups(package, variant.audio),
    }


def _picture(variant: Variant) -> Attributes:
    size = {"RESOLUTION": f"{variant.width}x{variant.height}"}
    return {**size, "VIDEO-RANGE": variant.video_range} if variant.video_range else size


def _groups(package: Package, audio: str | None) -> Attributes:
    groups = {"AUDIO": f'"{audio}"'} if audio else {}
    if any(track.kind == "SUBTITLES" for track in package.tracks):
        groups["SUBTITLES"] = f'"{SUBTITLES_GROUP}"'
    return groups


def _sound_alone(package: Package, group: str) -> Iterable[str]:
    sounds = package.sounds(group)
    attributes = {
        "BANDWIDTH": str(max(playlist.peak_bandwidth for _, playlist in sounds)),
        "AVERAGE-BANDWIDTH": str(max(playlist.average_bandwidth for _, playlist in sounds)),
        "CODECS": f'"{",".join(sorted({track.codecs for track, _ in sounds}))}"',
        **_groups(package, group),
    }
    first = next(track for track, _ in sounds if track.is_default)
    return [_VARIANT + _written(attributes), f"{first.folder}/{MEDIA_PLAYLIST}"]


def _iframe_attributes(variant: Variant, iframes: MediaPlaylist) -> Attributes:
    return {
        "BANDWIDTH": str(iframes.peak_bandwidth),
        "AVERAGE-BANDWIDTH": str(iframes.average_bandwidth),
        "CODECS": f'"{variant.codecs.partition(",")[0]}"',
        **_picture(variant),
        "URI": f'"{variant.name}/{IFRAME_PLAYLIST}"',
    }


def _track_attributes(track: Track) -> Attributes:
    """Return what is said of a track."""
    said = {"TYPE": track.kind, "GROUP-ID": f'"{track.group}"', "NAME": f'"{track.name}"'}
    if track.language:
        said["LANGUAGE"] = f'"{track.language}"'
    said |= {"DEFAULT": "YES" if track.is_default else "NO", "AUTOSELECT": "YES" if track.is_autoselect else "NO"}
    if track.is_forced:
        said["FORCED"] = "YES"
    if track.characteristics:
        said["CHARACTERISTICS"] = f'"{track.characteristics}"'
    if track.channels:
        said["CHANNELS"] = f'"{track.channels}"'
    return {**said, "URI": f'"{track.folder}/{MEDIA_PLAYLIST}"'}


def read_package(folder: Path, names: Sequence[str], origin: str) -> Package:
    """Read an output that has these renditions and was made from this origin. Raises IncompletePlaylistError."""
    lines = read_lines(folder / MASTER)
    if f"{_ORIGIN}{UNFINISHED}" in lines:
        raise IncompletePlaylistError("it is not finished")
    if f"{_ORIGIN}{origin}" not in lines:
        raise IncompletePlaylistError("it was made from another source or with other settings")
    try:
        held = _HELD.validate_json(next(line for line in lines if line.startswith(_HOLDS)).removeprefix(_HOLDS))
    except (StopIteration, ValueError) as error:
        raise IncompletePlaylistError(f"{MASTER} is damaged") from error
    if [variant.name for variant in held.variants] != list(names):
        raise IncompletePlaylistError("it has other renditions")
    package = Package(
        variants=held.variants,
        playlists=tuple(read_media_playlist(folder / name / MEDIA_PLAYLIST) for name in names),
        tracks=held.tracks,
        track_playlists=tuple(read_media_playlist(folder / track.folder / MEDIA_PLAYLIST) for track in held.tracks),
        iframes=tuple(read_media_playlist(folder / name / IFRAME_PLAYLIST) for name in names if held.has_iframes),
        audio_only=held.audio_only,
        has_poster=held.has_poster,
    )
    if master_playlist(package, origin).splitlines() != lines:
        raise IncompletePlaylistError(f"{MASTER} does not say what is there")
    if held.has_poster and not (folder / POSTER).exists():
        raise IncompletePlaylistError(f"{POSTER} is missing")
    return package
