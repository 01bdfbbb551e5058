"""What an HLS stream has besides its pictures: sounds and subtitles of their own, I-frames, a poster, encryption."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workers._hls_audio import SoundPlan, group_name, make_sounds, sounds_of
from workers._hls_beginning import first_picture_s, sound_codecs
from workers._hls_encryption import Keyring
from workers._hls_iframes import iframes_of
from workers._hls_ladder import Rung
from workers._hls_master import IFRAME_PLAYLIST, POSTER, Package, Track
from workers._hls_models import Encryption, HlsPayload
from workers._hls_playlist import MEDIA_PLAYLIST, MediaPlaylist, iframe_playlist, media_playlist, read_media_playlist
from workers._hls_poster import make_poster
from workers._hls_subtitles import Subtitles, make_subtitles, subtitles_of
from workers._hls_tracks import Tracks, chosen_sounds, read_tracks
from workers._probe import SourceVideo
from workplatform.context import JobContext, Output
from workplatform.storage.uris import file_name


@dataclass(frozen=True, slots=True)
class Extras:
    """What to make beside the pictures of the video called `name`.

    `sounds` is None where the sound is in the segments of the picture.
    """

    name: str
    sounds: SoundPlan | None = None
    is_sound_alone: bool = False
    subtitles: tuple[Subtitles, ...] = ()
    has_poster: bool = False
    has_iframes: bool = False
    encryption: Encryption | None = None


def plan_extras(
    job: JobContext, payload: HlsPayload, source: Path, video: SourceVideo, rungs: Sequence[Rung]
) -> tuple[SourceVideo, Extras]:
    """Return what to make besides the pictures, and the video with the sound that belongs into their segments.

    Raises BadInputError for sounds that there are not.
    """
    name = file_name(payload.input_path)
    extras = Extras(name, has_poster=payload.poster, has_iframes=payload.iframes, encryption=payload.encryption)
    if payload.audio_tracks == "default" and not payload.audio_only and not payload.subtitles:
        return video, extras
    tracks = job.isolated(read_tracks, source, name)
    extras = replace(extras, subtitles=_texts(job, tracks) if payload.subtitles else ())
    chosen = chosen_sounds(tracks.sounds, payload.audio_tracks)
    if not chosen:
        if payload.audio_only:
            job.log("the video has no sound: nothing can be heard alone")
        return replace(video, audio=None, sound_end_s=None), extras
    ends = [sound.audio.end_s for sound in chosen if sound.audio.end_s is not None]
    video = replace(video, sound_end_s=max(ends, default=None))
    if len(chosen) == 1 and not payload.audio_only:
        return replace(video, audio=chosen[0].audio), extras
    sounds = sounds_of(chosen, sorted({rung.audio_bitrate for rung in rungs}))
    plan = SoundPlan(tuple(sounds), video, payload.packed_as)
    return replace(video, audio=None), replace(extras, sounds=plan, is_sound_alone=payload.audio_only)


def _texts(job: JobContext, tracks: Tracks) -> tuple[Subtitles, ...]:
    for track in tracks.texts:
        if not track.is_text:
            language = f" in {track.label.language}" if track.label.language else ""
            job.log(f"subtitles{language} left out: {track.codec or 'an unknown codec'} is no text")
    return tuple(subtitles_of([track for track in tracks.texts if track.is_text]))


def add_extras(
    job: JobContext, extras: Extras, made: Package, output: Output, *, source: Path, rungs: Sequence[Rung]
) -> Package:
    """Make all that was planned into the folder that holds the pictures, and encrypt them; return the whole package.

    Raises BadInputError, EncoderError, NoSpaceError.
    """
    folder = output.path
    if extras.has_iframes:
        made = replace(made, iframes=_iframes(folder, made))
    if extras.has_poster:
        job.stage("choosing a poster")
        largest = max(made.variants, key=lambda variant: variant.width * variant.height)
        job.isolated(make_poster, source, extras.name, folder / POSTER, width=largest.width, height=largest.height)
        made = replace(made, has_poster=True)
    if extras.sounds:
        job.stage("transcoding audio")
        made = _with_sounds(job, extras, made, folder, source=source, rungs=rungs)
    if extras.subtitles:
        job.stage("writing subtitles")
        made = _with_subtitles(job, extras, made, folder, source=source)
    if extras.encryption:
        job.stage("encrypting")
        made = _encrypted(job, made, folder, extras.encryption)
    _write_playlists(made, folder)
    return made


def _iframes(folder: Path, made: Package) -> tuple[MediaPlaylist, ...]:
    found = []
    for variant, playlist in zip(made.variants, made.playlists, strict=True):
        iframes = iframes_of(folder / variant.name, playlist)
        (folder / variant.name / IFRAME_PLAYLIST).write_text(iframe_playlist(iframes), encoding="utf-8")
        found.append(iframes)
    return tuple(found)


def _with_sounds(
    job: JobContext, extras: Extras, made: Package, folder: Path, *, source: Path, rungs: Sequence[Rung]
) -> Package:
    assert extras.sounds  # noqa: S101 - asked before
    planned = [sound.track for sound in extras.sounds.sounds]
    _clear(folder, planned)
    duration_s = max(playlist.duration_s for playlist in made.playlists)
    start_s = _start_s(job, made, folder)
    make_sounds(job, source, extras.sounds, folder, start_s=start_s, duration_s=duration_s)
    playlists = _read(folder, planned)
    pairs = list(zip((folder / track.folder for track in planned), playlists, strict=True))
    codecs = job.isolated(sound_codecs, pairs)
    lowest = min(sound.bitrate for sound in extras.sounds.sounds)
    return replace(
        made,
        variants=tuple(
            replace(variant, audio=group_name(rung.audio_bitrate))
            for variant, rung in zip(made.variants, rungs, strict=True)
        ),
        tracks=tuple(replace(track, codecs=codec) for track, codec in zip(planned, codecs, strict=True)),
        track_playlists=playlists,
        audio_only=group_name(lowest) if extras.is_sound_alone else None,
    )


def _with_subtitles(job: JobContext, extras: Extras, made: Package, folder: Path, *, source: Path) -> Package:
    """Cut the subtitles as the first rendition is cut; the others are cut at the same moments."""
    tracks = [one.track for one in extras.subtitles]
    _clear(folder, tracks)
    playlist = made.playlists[0]
    start_s = _start_s(job, made, folder)
    durations_s = [segment.duration_s for segment in playlist.segments]
    job.isolated(
        make_subtitles, source, extras.name, extras.subtitles, folder, durations_s=durations_s, start_s=start_s
    )
    return replace(
        made, tracks=(*made.tracks, *tracks), track_playlists=(*made.track_playlists, *_read(folder, tracks))
    )


def _start_s(job: JobContext, made: Package, folder: Path) -> float:
    return job.isolated(first_picture_s, folder / made.variants[0].name, made.playlists[0])


def _clear(folder: Path, tracks: Sequence[Track]) -> None:
    """Remove what an earlier attempt may have left; unlike pictures, tracks are made anew."""
    for track in tracks:
        shutil.rmtree(folder / track.folder, ignore_errors=True)


def _read(folder: Path, tracks: Sequence[Track]) -> tuple[MediaPlaylist, ...]:
    return tuple(read_media_playlist(folder / track.folder / MEDIA_PLAYLIST) for track in tracks)


def _encrypted(job: JobContext, made: Package, folder: Path, encryption: Encryption) -> Package:
    """Encrypt the segments of pictures and sounds; subtitles stay as they are."""
    keyring = Keyring(folder, encryption)
    sealed: dict[str, MediaPlaylist] = {}
    for name, playlist in _with_media(made):
        keyring.seal(folder / name, playlist, job.check_cancelled)
        sealed[name] = keyring.sealed(playlist)
    tracks = zip(made.tracks, made.track_playlists, strict=True)
    return replace(
        made,
        playlists=tuple(sealed[variant.name] for variant in made.variants),
        track_playlists=tuple(sealed.get(track.folder, playlist) for track, playlist in tracks),
    )


def _write_playlists(made: Package, folder: Path) -> None:
    """Write the playlists of pictures and sounds, with one target duration for all."""
    target_s = max(playlist.target_s for _, playlist in _with_media(made))
    for name, playlist in _with_media(made):
        text = media_playlist(playlist, target_s=target_s)
        (folder / name / MEDIA_PLAYLIST).write_text(text, encoding="utf-8")


def _with_media(made: Package) -> list[tuple[str, MediaPlaylist]]:
    """Return folder and playlist of each picture and sound."""
    pictures = zip((variant.name for variant in made.variants), made.playlists, strict=True)
    tracks = zip(made.tracks, made.track_playlists, strict=True)
    return [*pictures, *((track.folder, playlist) for track, playlist in tracks if track.kind == "AUDIO")]
