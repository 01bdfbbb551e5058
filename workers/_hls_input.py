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
        whole = reading(path, video.container, begins if video.may_jump else (), span, threads=threads)
        return whole, whole
    begins = [video.begin_s] if video.may_jump else []
    pictures = reading(path, video.container, begins, span, an=None, threads=threads)
    return pictures, reading(path, video.container, [audio.begin_s] if video.may_jump else (), span, vn=None)


def reading(path: str, container: str, begins_s: Sequence[float | None], span: Span = WHOLE, **more: int | None) -> Any:
    """Return an input whose clock says 0 where the file begins, whichever of its streams are used.

    Of containers whose clock may jump, ffmpeg lets the clock begin with the streams in use, which begin at `begins_s`;
    of others nothing has to be known.
    """
    late_s = max(0.0, min((begin_s for begin_s in begins_s if begin_s is not None), default=0.0))
    return ffmpeg.input(f"file:{path}", **only_this_file(container), **span.input_options(late_s), **more)


def _waits(video: SourceVideo, span: Span) -> bool:
    """Whether the first sound of a span may come much later in the file than its first picture, or not at all."""
    audio = video.audio
    if audio is None:
        return False
    if audio.first_s > max(video.begin_s or 0.0, span.seek_s) + _LATE_S:
        return True
    return bool(span.seek_s) and (not video.may_jump or (audio.end_s or 0.0) < span.begin_s)
