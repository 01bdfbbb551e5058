"""Running the encoder: its command, the words about its progress, and what its end means."""

from pathlib import Path

from workers._ffmpeg import Progress
from workers._ffmpeg_run import run_ffmpeg
from workers._hls_command import ladder_command
from workers._hls_plan import Ladder
from workers._hls_segments import SegmentWatch
from workers._probe import SourceVideo
from workplatform.context import JobContext, Output
from workplatform.errors import BadInputError

# Progress before and after the encoding, in percent: probing and measuring take well under a second.
_ENCODING_STARTS, _ENCODING_ENDS = 1.0, 99.0


def encode(job: JobContext, source: Path, video: SourceVideo, ladder: Ladder, output: Output) -> int:
    """Make all renditions; return the number of pictures that each has."""
    for rung in ladder.rungs:
        (output.path / rung.name).mkdir()
    segments = SegmentWatch(output, [rung.name for rung in ladder.rungs])
    command = ladder_command(source, video, ladder)

    def tell(progress: Progress) -> None:
        _tell(job, progress, video.duration_s, len(ladder.rungs))
        segments.look()

    made = run_ffmpeg(job, command, folder=output.path, making="the renditions", tell=tell)
    if not made.frames:
        raise BadInputError("damaged video: no picture of it could be decoded")
    return made.frames


def _tell(job: JobContext, progress: Progress, duration_s: float | None, count: int) -> None:
    """Report how far all renditions are; they come from one process and advance together."""
    words = [f"transcoding {renditions(count)}"]
    if progress.speed:
        words.append(f"{progress.speed:.2g}x")
    if not duration_s:
        job.progress(_ENCODING_STARTS, ", ".join([*words, f"{progress.written_s:.0f} s done"]))
        return
    share = min(1.0, progress.written_s / duration_s)
    if progress.speed:
        words.append(f"{_span(duration_s * (1 - share) / progress.speed)} left")
    job.progress(_ENCODING_STARTS + share * (_ENCODING_ENDS - _ENCODING_STARTS), ", ".join(words))


def renditions(count: int) -> str:
    """Return a number of renditions in words."""
    return f"{count} rendition{'' if count == 1 else 's'}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
