"""Sounds as renditions of their own: one for each track and bitrate, encoded apart from the picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg

from workers._ffmpeg import Progress, quiet_start
from workers._ffmpeg_run import run_ffmpeg
from workers._hls_command import stereo
from workers._hls_input import reading
from workers._hls_ladder import SegmentType
from workers._hls_master import Track
from workers._hls_playlist import (
    CLOCK_START_S,
    INIT,
    MEDIA_PLAYLIST,
    SEGMENT_S,
    IncompletePlaylistError,
    read_media_playlist,
)
from workers._hls_tracks import SoundTrack, characteristics, chosen_by_players, default_of, folder_name, player_names
from workers._hls_wholeness import is_whole, unwritten
from workers._probe import SourceVideo
from workplatform.context import JobContext

_CHANNELS = 2
# A picture that begins so little after the sound begins with it.
_TOLERANCE_S = 0.1
_SUFFIXES = {"ts": "ts", "fmp4": "m4s"}


@dataclass(frozen=True, slots=True)
class Sound:
    """One track at one bitrate (bits per second), as it is made and as players see it."""

    source: SoundTrack
    bitrate: int
    track: Track


@dataclass(frozen=True, slots=True)
class SoundPlan:
    """The sounds to make of a video, as segments of a type."""

    sounds: tuple[Sound, ...]
    video: SourceVideo
    segment_type: SegmentType


def group_name(bitrate: int) -> str:
    """Return the name of the group of all sounds with this bitrate."""
    return f"audio-{bitrate}"


def sounds_of(tracks: Sequence[SoundTrack], bitrates: Sequence[int]) -> list[Sound]:
    """Return what to make of these tracks: each of them in a group for every bitrate."""
    names, first = player_names(tracks, "Audio"), default_of(tracks)
    planned = [(bitrate, track, name) for bitrate in bitrates for track, name in zip(tracks, names, strict=True)]
    return [
        Sound(
            source=track,
            bitrate=bitrate,
            track=Track(
                kind="AUDIO",
                folder=folder_name("audio", number, track.label),
                group=group_name(bitrate),
                name=name,
                language=track.label.language,
                is_default=track is first,
                is_autoselect=track in chosen_by_players([first, *tracks]),
                channels=_CHANNELS,
                characteristics=characteristics(track.label),
            ),
        )
        for number, (bitrate, track, name) in enumerate(planned, 1)
    ]


def make_sounds(
    job: JobContext, source: Path, plan: SoundPlan, folder: Path, *, start_s: float, duration_s: float
) -> None:
    """Encode the sounds into their folders below `folder`, from the first picture on and at least as long as they last.

    They follow the same clock as the picture and are cut at the same distances. What comes before the first picture,
    at `start_s`, would be dropped by players, which take that for the beginning. Raises EncoderError, NoSpaceError.
    """
    for sound in plan.sounds:
        (folder / sound.track.folder).mkdir()

    def tell(progress: Progress) -> None:
        job.progress(0, f"transcoding {len(plan.sounds)} audio tracks, {progress.written_s:.0f} s done")

    run_ffmpeg(job, _command(source, plan, start_s, duration_s), folder=folder, making="the audio", tell=tell)
    for sound in plan.sounds:
        _check(folder / sound.track.folder)


def _check(folder: Path) -> None:
    """Raise NoSpaceError or EncoderError if a rendition is not written whole."""
    try:
        segments = read_media_playlist(folder / MEDIA_PLAYLIST).segments
    except IncompletePlaylistError as error:
        raise unwritten(folder, f"the playlist of {folder.name}") from error
    for segment in segments:
        if not is_whole(folder / segment.name):
            raise unwritten(folder, f"{folder.name}/{segment.name}")


def _command(source: Path, plan: SoundPlan, start_s: float, duration_s: float) -> list[str]:
    stream = reading(str(source), plan.video, [sound.source.audio.begin_s for sound in plan.sounds])
    outputs = []
    for index in sorted({sound.source.audio.index for sound in plan.sounds}):
        copies = [sound for sound in plan.sounds if sound.source.audio.index == index]
        for sound, heard in zip(copies, stereo(stream, copies[0].source.audio, len(copies)), strict=True):
            begun = heard.filter("atrim", start=f"{start_s:.6f}") if start_s > _TOLERANCE_S else heard
            lasting = begun.filter("apad", whole_dur=f"{duration_s:.6f}")
            options = _options(sound, plan.segment_type)
            outputs.append(ffmpeg.output(lasting, f"{sound.track.folder}/{MEDIA_PLAYLIST}", **options))
    return [str(word) for word in ffmpeg.compile(ffmpeg.merge_outputs(*outputs), quiet_start())]


def _options(sound: Sound, segment_type: SegmentType) -> dict[str, Any]:
    options = {
        "f": "hls",
        "c:a": "aac",
        "b:a": sound.bitrate,
        "hls_time": SEGMENT_S,
        "hls_list_size": 0,
        "hls_playlist_type": "vod",
        "hls_segment_filename": f"{sound.track.folder}/segment_%05d.{_SUFFIXES[segment_type]}",
        "avoid_negative_ts": "disabled",
        "output_ts_offset": CLOCK_START_S,
        "map_metadata": -1,
        "map_chapters": -1,
    }
    if segment_type == "fmp4":
        options |= {"hls_segment_type": "fmp4", "hls_fmp4_init_filename": INIT}
        return {**options, "hls_segment_options": "movflags=+frag_discont"}
    # Else the muxer adds its delay to the clock; without a delay every packet of sound would fill two of its own.
    return {**options, "hls_segment_options": "mpegts_copyts=1"}
