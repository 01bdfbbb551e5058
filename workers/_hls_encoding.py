"""Running the encoder: from the start or from where an earlier attempt stopped, and the words about its progress."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workers._ffmpeg import Progress, in_words
from workers._ffmpeg_run import run_ffmpeg
from workers._hls_moments import count_pictures, lengths_s
from workers._hls_playlist import MEDIA_PLAYLIST, media_playlist
from workers._hls_resume import Groups
from workers._hls_segments import Intake, OnSegments, SeamError
from workers._hls_span import WHOLE, Span
from workplatform.context import JobContext
from workplatform.errors import BadInputError, EncoderError

# Progress before and after the encoding, in percent: probing and measuring take well under a second.
_ENCODING_STARTS, _ENCODING_ENDS = 1.0, 99.0
# Where the last complete group does not fit, the one before is tried.
_SEAMS_TRIED = (0, 1)


@dataclass(frozen=True, slots=True)
class Encoder:
    """How ffmpeg makes some of the renditions called `names`, of any span of the source.

    Those of them that are `copied` are made of the whole source only. `duration_s` is the source's, if it is known.
    """

    names: Sequence[str]
    copied: Sequence[str]
    command: Callable[[Sequence[str], Span], list[str]]
    duration_s: float | None

    @property
    def encoded(self) -> list[str]:
        """The other ones."""
        return [name for name in self.names if name not in self.copied]


def encode(job: JobContext, encoder: Encoder, groups: Groups, on_segments: OnSegments) -> int:
    """Make what is missing of all renditions, and their playlists; return the number of pictures that each has."""
    pictures = _go_on(job, encoder, groups, on_segments)
    if pictures is None:
        groups.forget()
        intake = Intake(job, groups, encoder.names, seam=None, on_segments=on_segments)
        pictures = run(job, encoder, intake, WHOLE)
    if not pictures:
        raise BadInputError("damaged video: no picture of it could be decoded")
    playlists = [groups.playlist(name) for name in encoder.names]
    lasts = [groups.segment(name, len(one.segments) - 1) for name, one in zip(encoder.names, playlists, strict=True)]
    for last, playlist, (length_s, is_sure) in zip(lasts, playlists, job.isolated(lengths_s, lasts), strict=True):
        text = media_playlist(playlist.lasting(length_s, is_sure=is_sure))
        (last.parent / MEDIA_PLAYLIST).write_text(text, encoding="utf-8")
    return pictures


def _go_on(job: JobContext, encoder: Encoder, groups: Groups, on_segments: OnSegments) -> int | None:
    """Continue what an earlier attempt began; None if there is nothing that can be continued."""
    names, was_tried = encoder.encoded, False
    for back in _SEAMS_TRIED:
        seam = groups.seam(job, names, back=back)
        if seam is None:
            break
        was_tried = True
        job.log(f"going on after {seam.group} groups of segments that an earlier attempt has made")
        intake = Intake(job, groups, names, seam=seam, on_segments=on_segments)
        try:
            made = run(job, encoder, intake, seam.span) - intake.pictures_again
        except SeamError as error:
            job.log(f"going on there is not possible: {error}")
        except (EncoderError, BadInputError) as error:
            if intake.is_open:
                raise
            job.log(f"going on there is not possible: {error.message}")
        else:
            if encoder.copied:
                run(job, encoder, Intake(job, groups, encoder.copied, seam=None, on_segments=on_segments), WHOLE)
            return made + job.isolated(count_pictures, groups.smallest(names, seam.group))
    if was_tried:
        groups.start_over()
    return None


def run(job: JobContext, encoder: Encoder, intake: Intake, span: Span) -> int:
    """Run ffmpeg over a span and take all its segments; return the number of pictures in it."""

    def tell(progress: Progress) -> None:
        _tell(job, progress, encoder, span)
        intake.look()

    command = encoder.command(intake.names, span)
    made = run_ffmpeg(job, command, folder=intake.folder, making="the renditions", tell=tell)
    intake.look(is_over=True)
    return made.frames


def _tell(job: JobContext, progress: Progress, encoder: Encoder, span: Span) -> None:
    """Report how far all renditions are; they come from one process and advance together."""
    words = [f"transcoding {count_renditions(len(encoder.names))}"]
    written_s = max(progress.written_s, span.begin_s)
    # ffmpeg counts what came before the span as done by itself.
    speed = (progress.speed or 0.0) * (1 - span.begin_s / written_s) if written_s else None
    if speed:
        words.append(f"{speed:.2g}x")
    if not encoder.duration_s:
        job.progress(_ENCODING_STARTS, ", ".join([*words, f"{written_s:.0f} s done"]))
        return
    share = min(1.0, written_s / encoder.duration_s)
    if speed:
        words.append(f"{in_words(encoder.duration_s * (1 - share) / speed)} left")
    job.progress(_ENCODING_STARTS + share * (_ENCODING_ENDS - _ENCODING_STARTS), ", ".join(words))


def count_renditions(count: int) -> str:
    """Return a number of renditions in words."""
    return f"{count} rendition{'' if count == 1 else 's'}"
