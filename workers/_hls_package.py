"""The finished stream: whether it is there already, what was measured of it, and what the client is told of it."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from workers._hls_beginning import first_picture_s
from workers._hls_master import MASTER, POSTER, Package, Variant, read_package
from workers._hls_measure import lone_rate, measure
from workers._hls_models import HlsAudioTrack, HlsRendition, HlsResult, HlsSubtitles
from workers._hls_plan import Ladder
from workers._hls_playlist import MEDIA_PLAYLIST, IncompletePlaylistError, read_media_playlist
from workers._probe import SourceVideo
from workplatform.context import JobContext
from workplatform.errors import EncoderError, InputNotFoundError
from workplatform.storage.uris import is_http, is_s3

_HASHED_BYTES = 1 << 16
# An output this much shorter than its source says it is gets a line in the log.
_NOTABLY_SHORT = 0.95


def origin(source: Path, *settings: object) -> str:
    """Return a fingerprint of the video and of what is made of it; the file's time tells of changes in its middle."""
    digest = hashlib.sha256(repr(settings).encode())
    with source.open("rb") as file:
        status = os.fstat(file.fileno())
        size = status.st_size
        digest.update(f"{size} {status.st_mtime_ns} ".encode())
        digest.update(file.read(_HASHED_BYTES))
        file.seek(max(0, size - _HASHED_BYTES))
        digest.update(file.read(_HASHED_BYTES))
    return digest.hexdigest()


def complete(job: JobContext, folder: str, names: Sequence[str], origin: str) -> Package | None:
    """Return what is in a local folder if nothing is missing, and it is what this job would make."""
    if is_s3(folder) or is_http(folder):  # of a store all would have to be fetched, and nothing is written to a URL
        return None
    try:
        return read_package(job.input(f"{folder.rstrip('/')}/{MASTER}").parent, names, origin)
    except InputNotFoundError:
        return None
    except IncompletePlaylistError as error:
        job.log(f"the existing output is replaced: {error}")
        return None


def package(job: JobContext, folder: Path, ladder: Ladder, video: SourceVideo, frames: int) -> Package:
    """Measure what was produced. Raises EncoderError if a rendition is unfinished."""
    names = [rung.name for rung in ladder.rungs]
    try:
        playlists = {name: read_media_playlist(folder / name / MEDIA_PLAYLIST) for name in names}
    except IncompletePlaylistError as error:
        raise EncoderError(f"ffmpeg left an unfinished rendition: {error}") from error
    variants = [
        Variant(
            name=name,
            width=measured.width,
            height=measured.height,
            codecs=measured.codecs,
            frame_rate=measured.frame_rate or lone_rate(video.frame_rate, playlist.duration_s),
            bandwidth=playlist.peak_bandwidth,
            average_bandwidth=playlist.average_bandwidth,
            video_range=measured.video_range,
            is_copied=ladder.passage is not None and ladder.passage.name == name,
        )
        for (name, playlist), measured in zip(
            playlists.items(), job.isolated(measure, folder, playlists, frames), strict=True
        )
    ]
    return Package(tuple(variants), tuple(playlists.values()))


def note_shortness(job: JobContext, folder: Path, package: Package, video: SourceVideo) -> None:
    """Log that the video is shorter than its header says."""
    made, said_s = package.playlists[0], video.duration_s or 0.0
    if made.duration_s >= _NOTABLY_SHORT * said_s:
        return
    # It may also have begun late.
    end_s = made.duration_s + job.isolated(first_picture_s, folder / package.variants[0].name, made)
    if end_s < _NOTABLY_SHORT * said_s:
        job.log(f"the video ends early: {end_s:.1f} s of {said_s:.1f} s could be read")


def result(package: Package, uri: str, *, skipped: bool) -> HlsResult:
    """Return what the client is told of a package at `uri`."""
    base = uri.rstrip("/")
    return HlsResult(
        hls_path=f"{base}/{MASTER}",
        qualities=[variant.name for variant in package.variants],
        renditions=[
            HlsRendition(
                name=variant.name,
                width=variant.width,
                height=variant.height,
                bandwidth=variant.bandwidth,
                average_bandwidth=variant.average_bandwidth,
                frame_rate=variant.frame_rate,
                codecs=variant.codecs,
                is_copied=variant.is_copied,
                playlist=f"{base}/{variant.name}/{MEDIA_PLAYLIST}",
            )
            for variant in package.variants
        ],
        audio_tracks=_audio_tracks(package, base),
        audio_only=package.audio_only is not None,
        subtitles=_subtitles(package, base),
        poster_path=f"{base}/{POSTER}" if package.has_poster else None,
        keys=[f"{base}/{key}" for key in package.keys],
        duration=round(max(playlist.duration_s for playlist in package.playlists), 3),
        segments=sum(len(playlist.segments) for playlist in (*package.playlists, *package.track_playlists)),
        size=sum(playlist.size_bytes for playlist in (*package.playlists, *package.track_playlists)),
        skipped=skipped,
    )


def _audio_tracks(package: Package, base: str) -> list[HlsAudioTrack]:
    return [
        HlsAudioTrack(
            name=track.name,
            language=track.language,
            is_default=track.is_default,
            playlist=f"{base}/{track.folder}/{MEDIA_PLAYLIST}",
            channels=track.channels or 0,
            bandwidth=playlist.peak_bandwidth,
            average_bandwidth=playlist.average_bandwidth,
        )
        for track, playlist in zip(package.tracks, package.track_playlists, strict=True)
        if track.kind == "AUDIO"
    ]


def _subtitles(package: Package, base: str) -> list[HlsSubtitles]:
    return [
        HlsSubtitles(
            name=track.name,
            language=track.language,
            is_default=track.is_default,
            is_forced=track.is_forced,
            playlist=f"{base}/{track.folder}/{MEDIA_PLAYLIST}",
        )
        for track in package.tracks
        if track.kind == "SUBTITLES"
    ]
