"""The `hls` job type: a video becomes an HLS stream in several qualities."""

import hashlib
import os
import shlex
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from pydantic import Field, field_validator

from workers._ffmpeg import Progress, ProgressReader, failure_reason, is_disk_full
from workers._hls_command import ladder_command
from workers._hls_ladder import Quality, Rung, climb
from workers._hls_measure import lone_rate, measure
from workers._hls_playlist import (
    MASTER,
    MEDIA_PLAYLIST,
    OWNED,
    IncompletePlaylistError,
    Package,
    Variant,
    master_playlist,
    raise_target_duration,
    read_media_playlist,
    read_package,
)
from workers._hls_segments import SegmentWatch
from workers._probe import SourceVideo, probe
from workplatform.context import JobContext, Output
from workplatform.errors import BadInputError, EncoderError, InputNotFoundError, NoSpaceError
from workplatform.models import Payload, Result, WireModel
from workplatform.registry import job_type
from workplatform.storage.uris import file_name

_LOGGED_LINES = 20
_HASHED_BYTES = 1 << 16
# Progress before and after the encoding, in percent: probing and measuring take well under a second.
_ENCODING_STARTS, _ENCODING_ENDS = 1.0, 99.0
# An output this much shorter than its source says it is gets a line in the log.
_NOTABLY_SHORT = 0.95


class HlsPayload(Payload):
    """A video and the qualities to make of it."""

    input_path: str = Field(
        min_length=1, description="The video: a path, a URL or s3://bucket/key", examples=["videos/film.mp4"]
    )
    output_dir: str = Field(
        min_length=1,
        description="Folder that gets master.m3u8 and a folder with playlist and segments for each quality",
        examples=["hls/film"],
    )
    qualities: tuple[Quality, ...] = Field(
        default=(
            Quality(name="1080p", height=1080),
            Quality(name="720p", height=720),
            Quality(name="480p", height=480),
        ),
        min_length=1,
        max_length=10,
        description="Renditions, by name or as objects. Those that would need upscaling are left out; the lowest is "
        "always made, if need be at the size of the video",
        examples=[["1080p", "720p", {"name": "small", "height": 360, "bitrate": "800k"}]],
    )
    overwrite: bool = Field(
        default=False,
        description="Encode again even where a complete output of the same video and qualities exists",
        examples=[False],
    )

    @field_validator("qualities")
    @classmethod
    def _have_own_folders(cls, qualities: tuple[Quality, ...]) -> tuple[Quality, ...]:
        seen: set[str] = set()
        for quality in qualities:
            if quality.name.casefold() in seen:
                raise ValueError(f"quality {quality.name!r} is asked twice: give each its own name")
            seen.add(quality.name.casefold())
        return qualities


class HlsRendition(WireModel):
    """One rendition as it was made."""

    name: str = Field(description="Name of the quality, and of its folder", examples=["720p"])
    width: int = Field(description="Width in pixels", examples=[1280])
    height: int = Field(description="Height in pixels", examples=[720])
    bandwidth: int = Field(description="Peak bits per second", examples=[2_900_000])
    average_bandwidth: int = Field(description="Average bits per second", examples=[2_500_000])
    frame_rate: float = Field(description="Frames per second", examples=[29.97])
    codecs: str = Field(description="Codecs after RFC 6381", examples=["avc1.64001f,mp4a.40.2"])
    playlist: str = Field(description="Path of its playlist", examples=["hls/film/720p/playlist.m3u8"])


class HlsResult(Result):
    """An HLS stream, ready to be played."""

    hls_path: str = Field(description="Path of the master playlist", examples=["hls/film/master.m3u8"])
    qualities: list[str] = Field(description="Names of the renditions made", examples=[["720p", "480p"]])
    renditions: list[HlsRendition] = Field(description="The renditions in detail, in the same order")
    duration: float = Field(description="Length in seconds", examples=[12.0])
    segments: int = Field(description="Number of segment files of all renditions together", examples=[4])
    size: int = Field(description="Bytes of all segments together", examples=[4_700_000])
    skipped: bool = Field(
        description="Whether a complete output of the same video and qualities was there and has been kept",
        examples=[False],
    )


@job_type("hls", queue="hls", concurrency=1, priority=3, time_limit=timedelta(hours=6))
def hls(payload: HlsPayload, job: JobContext) -> HlsResult:
    """Convert a video to HLS in several qualities, decoding it once."""
    source = job.input(payload.input_path)
    job.stage("probing")
    video = job.isolated(probe, source, file_name(payload.input_path))
    rungs = climb(payload.qualities, video.width, video.height)
    names = [rung.name for rung in rungs]
    origin = _origin(source, rungs)
    kept = None if payload.overwrite else _complete(job, payload.output_dir, names, origin)
    if kept is not None:
        job.progress(100, "already complete")
        return _result(kept, payload.output_dir, skipped=True)
    output = job.output(payload.output_dir, directory=True, last=MASTER, owned=OWNED)
    if source.is_relative_to(output.target):
        raise BadInputError(
            f"{payload.input_path} lies inside {payload.output_dir}: give the stream a folder of its own"
        )
    job.stage("transcoding")
    frames = _encode(job, source, video, rungs, output)
    job.stage("measuring")
    package = _package(job, output.path, names, video, frames)
    _note_shortness(job, package, video)
    (output.path / MASTER).write_text(master_playlist(package.variants, origin), encoding="utf-8")
    job.progress(100, f"{_renditions(len(rungs))} ready")
    return _result(package, output.uri, skipped=False)


def _origin(source: Path, rungs: Sequence[Rung]) -> str:
    """Return a fingerprint of the video and of what is made of it; the file's time tells of changes in its middle."""
    digest = hashlib.sha256(repr(rungs).encode())
    with source.open("rb") as file:
        status = os.fstat(file.fileno())
        size = status.st_size
        digest.update(f"{size} {status.st_mtime_ns} ".encode())
        digest.update(file.read(_HASHED_BYTES))
        file.seek(max(0, size - _HASHED_BYTES))
        digest.update(file.read(_HASHED_BYTES))
    return digest.hexdigest()


def _complete(job: JobContext, folder: str, names: Sequence[str], origin: str) -> Package | None:
    """Return what is in the folder if nothing is missing, and it is what this job would make."""
    try:
        return read_package(job.input(f"{folder.rstrip('/')}/{MASTER}").parent, names, origin)
    except InputNotFoundError:
        return None
    except IncompletePlaylistError as error:
        job.log(f"the existing output is replaced: {error}")
        return None


def _encode(job: JobContext, source: Path, video: SourceVideo, rungs: Sequence[Rung], output: Output) -> int:
    """Make all renditions; return the number of pictures that each has."""
    for rung in rungs:
        (output.path / rung.name).mkdir()
    segments = SegmentWatch(output, [rung.name for rung in rungs])
    command = ladder_command(source, video, rungs)
    job.log(shlex.join(command))
    reader, tail = ProgressReader(), deque[str](maxlen=_LOGGED_LINES)

    def tell(line: str) -> None:
        progress = reader.feed(line)
        if progress is not None:
            _tell(job, progress, video.duration_s, len(rungs))
            segments.look()

    try:
        ended = job.run(command, cwd=output.path, on_stdout=tell, on_stderr=tail.append)
    finally:
        for line in tail:
            job.log(line)
    if is_disk_full(tail):
        raise NoSpaceError("the disk is full: ffmpeg could not write the segments")
    if ended.returncode != 0:
        raise EncoderError(f"ffmpeg could not make the renditions: {failure_reason(ended.returncode, tail)}")
    if not reader.latest.frames:
        raise BadInputError("damaged video: no picture of it could be decoded")
    return reader.latest.frames


def _tell(job: JobContext, progress: Progress, duration_s: float | None, count: int) -> None:
    """Report how far all renditions are; they come from one process and advance together."""
    words = [f"transcoding {_renditions(count)}"]
    if progress.speed:
        words.append(f"{progress.speed:.2g}x")
    if not duration_s:
        job.progress(_ENCODING_STARTS, ", ".join([*words, f"{progress.written_s:.0f} s done"]))
        return
    share = min(1.0, progress.written_s / duration_s)
    if progress.speed:
        words.append(f"{_span(duration_s * (1 - share) / progress.speed)} left")
    job.progress(_ENCODING_STARTS + share * (_ENCODING_ENDS - _ENCODING_STARTS), ", ".join(words))


def _renditions(count: int) -> str:
    return f"{count} rendition{'' if count == 1 else 's'}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _package(job: JobContext, folder: Path, names: Sequence[str], video: SourceVideo, frames: int) -> Package:
    """Measure what was produced."""
    paths = [folder / name / MEDIA_PLAYLIST for name in names]
    try:
        playlists = dict(zip(names, map(read_media_playlist, paths), strict=True))
    except IncompletePlaylistError as error:
        raise EncoderError(f"ffmpeg left an unfinished rendition: {error}") from error
    for path in paths:
        raise_target_duration(path)
    variants = [
        Variant(
            name=name,
            width=measured.width,
            height=measured.height,
            codecs=measured.codecs,
            frame_rate=measured.frame_rate or lone_rate(video.frame_rate, playlist.duration_s),
            bandwidth=playlist.peak_bandwidth,
            average_bandwidth=playlist.average_bandwidth,
        )
        for (name, playlist), measured in zip(
            playlists.items(), job.isolated(measure, folder, playlists, frames), strict=True
        )
    ]
    return Package(tuple(variants), tuple(playlists.values()))


def _note_shortness(job: JobContext, package: Package, video: SourceVideo) -> None:
    made_s = package.playlists[0].duration_s
    if video.duration_s and made_s < _NOTABLY_SHORT * video.duration_s:
        job.log(f"the video ends early: {made_s:.1f} s of {video.duration_s:.1f} s could be read")


def _result(package: Package, uri: str, *, skipped: bool) -> HlsResult:
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
                playlist=f"{base}/{variant.name}/{MEDIA_PLAYLIST}",
            )
            for variant in package.variants
        ],
        duration=round(max(playlist.duration_s for playlist in package.playlists), 3),
        segments=sum(len(playlist.segments) for playlist in package.playlists),
        size=sum(playlist.size_bytes for playlist in package.playlists),
        skipped=skipped,
    )
