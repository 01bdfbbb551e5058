"""How ffmpeg reads a video for HLS: which part of it, on which clock, and its sound from where it does not wait."""

from collections.abc import Sequence
from typing import Any

import ffmpeg

from workers._ffmpeg import only_this_file
from workers._hls_span import WHOLE, Span
from workers._probe import SourceVideo

# ffmpeg holds pictures that are not compressed until the first sound comes: a second can be a gigabyte and more.
_LATE_S = 0.5


def inputs(path: str, video: SourceVideo, span: Span, *, threads: int) -> tuple[Any, Any]:
    """Return the input of the picture and that of its sound; they are one if none has to wait for the other.

    `threads` decode, 0: as many as ffmpeg likes.
    """
    audio = video.audio
    if audio is None or not _waits(video, span):
        begins = [video.begin_s, audio.begin_s if audio else None]
        whole = reading(path, video, begins, span, threads=threads)
        return whole, whole
    pictures = reading(path, video, [video.begin_s], span, an=None, threads=threads)
    return pictures, reading(path, video, [audio.begin_s], span, vn=None)


def reading(
    path: str, video: SourceVideo, begins_s: Sequence[float | None], span: Span = WHOLE, **more: int | None
) -> Any:
    """Return an input whose clock says 0 where the file begins, whichever of its streams are used.

    The streams in use begin at `begins_s`: in containers whose clock may jump, ffmpeg lets the clock begin with them.
    """
    known = [begin_s for begin_s in begins_s if begin_s is not None and video.clock]
    late_s = max(0.0, min(known, default=0.0))
    options = only_this_file(video.container, video.longest_step_s) | span.input_options(late_s)
    return ffmpeg.input(f"file:{path}", **options, **more)


def _waits(video: SourceVideo, span: Span) -> bool:
    """Whether the first sound of a span may come much later in the file than its first picture, or not at all."""
    audio = video.audio
    if audio is None:
        return False
    if audio.first_s > max(video.begin_s or 0.0, span.seek_s) + _LATE_S:
        return True
    return bool(span.seek_s) and (not video.clock or (audio.end_s or 0.0) < span.begin_s)
