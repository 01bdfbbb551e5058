"""Embedded text subtitles as WebVTT renditions of an HLS stream (RFC 8216bis section 3.1.4)."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from workers._cues import Cue, read_cues, webvtt
from workers._hls_master import SUBTITLES_GROUP, Track
from workers._hls_playlist import CLOCK_START_S, MEDIA_PLAYLIST, MediaPlaylist, Segment, media_playlist
from workers._hls_tracks import TextTrack, characteristics, chosen_by_players, folder_name, player_names
from workers._writing import write_file
from workplatform.errors import BadInputError

VTT_PATTERN = "segment_%05d.vtt"

_CLOCK_HZ = 90_000
# Local zero is the source's beginning, and this is what the clock of the segments says then.
_HEADER = f"WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:{CLOCK_START_S * _CLOCK_HZ}\n"
# A text that stays for hours is in every segment; a few such could fill a disk.
_MOST_LETTERS = 32 << 20
_LETTERS_BESIDES = 40


@dataclass(frozen=True, slots=True)
class Subtitles:
    """One subtitle stream, by its number in the file, as players see it."""

    index: int
    track: Track


def subtitles_of(tracks: Sequence[TextTrack]) -> list[Subtitles]:
    """Return what to make of these tracks: one rendition of each; at most one is shown without being asked for."""
    first = next((track.index for track in tracks if track.label.is_default and not track.label.is_forced), None)
    tracks_by_choice = sorted(tracks, key=lambda track: track.index != first)
    return [
        Subtitles(
            index=track.index,
            track=Track(
                kind="SUBTITLES",
                folder=folder_name("subtitles", number, track.label),
                group=SUBTITLES_GROUP,
                name=name,
                language=track.label.language,
                is_default=track.index == first,
                is_autoselect=track in chosen_by_players(tracks_by_choice),
                is_forced=track.label.is_forced,
                characteristics=characteristics(track.label),
            ),
        )
        for number, (track, name) in enumerate(zip(tracks, player_names(tracks, "Subtitles"), strict=True), 1)
    ]


def make_subtitles(
    source: Path,
    name: str,
    subtitles: Sequence[Subtitles],
    folder: Path,
    *,
    durations_s: Sequence[float],
    start_s: float,
) -> None:
    """Write the renditions into `folder`, cut like a picture whose segments last so long and begin at `start_s`.

    Runs in an isolated child. Raises BadInputError.
    """
    for one, cues in zip(subtitles, read_cues(source, name, [one.index for one in subtitles]), strict=True):
        _write(folder / one.track.folder, cues, durations_s, start_s)


def _write(folder: Path, cues: Sequence[Cue], durations_s: Sequence[float], start_s: float) -> None:
    """Write one rendition."""
    folder.mkdir()
    segments = []
    for number, (shown, duration_s) in enumerate(zip(_dealt(cues, durations_s, start_s), durations_s, strict=True)):
        content = webvtt(shown, _HEADER).encode()
        write_file(folder / (VTT_PATTERN % number), content)
        segments.append(Segment(VTT_PATTERN % number, duration_s, len(content)))
    write_file(folder / MEDIA_PLAYLIST, media_playlist(MediaPlaylist(tuple(segments)), tags=()).encode())


def _dealt(cues: Sequence[Cue], durations_s: Sequence[float], start_s: float) -> list[list[Cue]]:
    """Deal the cues to the segments; one that is shown in two segments is in both, at the same times.

    What would be shown only before the first picture, or after the last one, is left out.
    """
    *cuts, end_s = accumulate(durations_s, initial=start_s)
    dealt: list[list[Cue]] = [[] for _ in durations_s]
    room = _MOST_LETTERS
    for cue in cues:
        if cue.end_s <= start_s or cue.start_s >= end_s:
            continue
        first, last = max(0, bisect_right(cuts, cue.start_s) - 1), max(0, bisect_left(cuts, cue.end_s) - 1)
        room -= (last - first + 1) * (len(cue.text) + _LETTERS_BESIDES)
        if room < 0:
            raise BadInputError("the video has more subtitles than can be: ask for subtitles: false")
        for shown in dealt[first : last + 1]:
            shown.append(cue)
    return dealt
