"""Copying instead of encoding: whether a rendition's picture can be the source's own, and where it is then cut."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

from workers._hls_command import MAX_FRAME_RATE, MAX_TAIL_S
from workers._hls_ladder import Rung, usual_bitrate
from workers._hls_plan import Ladder, Passage
from workers._hls_playlist import CLOCK_START_S, MediaPlaylist
from workers._picture_groups import PictureGroup, Pictures, UncuttableError, read_groups
from workers._probe import SourceVideo
from workers._video import open_video
from workplatform.context import JobContext

Wish = bool | Literal["auto"]

_PIXELS = {"h264": ("yuv420p",), "hevc": ("yuv420p", "yuv420p10le")}
# Distances of segments to try. Muxers round times, so each multiple is looked for a little early.
_STEPS_S = (6, 5, 4, 3)
_EARLY_S = Fraction(1, 50_000)
# What a segment may last: no longer than what counts as 6 s in a playlist, and long enough to be worth a request.
_LONGEST_S, _SHORTEST_S = Fraction("6.49"), 1
_LONGEST_GROUP_S = 6
# How much later than its sound the picture may begin: the sound before it is left out where it is copied.
_LATEST_START_S = Fraction("0.1")
# A ceiling with a buffer of two seconds lets six seconds have a third more than it.
_PEAK = 4 / 3
# Without a ceiling asked for, a source with this many times the usual bits is too much for a stream.
_UNUSUAL = 2
# Half a picture at 60 a second: a segment that differs by more from the plan was cut elsewhere.
_SAME_S = 0.008


def choose_passage(job: JobContext, source: Path, video: SourceVideo, ladder: Ladder, wish: Wish) -> Ladder:
    """Return the ladder with the rendition that is copied, if there is one; why there is none is logged on a wish."""
    if not wish:
        return ladder
    reason = rung = copyable(video, ladder)
    if isinstance(rung, Rung):
        limit = _bit_limit(rung, ladder, insists=wish is True)
        passage = job.isolated(plan_passage, source, rung.name, limit, has_sound=video.audio is not None)
        if isinstance(passage, Passage):
            return ladder.copying(passage)
        reason = passage
    if wish is True:
        job.log(f"no rendition is copied: {reason}")
    return ladder


def copyable(video: SourceVideo, ladder: Ladder) -> Rung | str:
    """Return the rung that is the source as it is, as far as its headers tell, or the reason why there is none."""
    tail_s = (video.sound_end_s or 0) - (video.end_s or 0)
    obstacles = {
        f"the source is {video.codec} in {video.pixels}": video.codec != ladder.form.codec
        or video.pixels not in _PIXELS.get(video.codec, ()),
        "the colours of the source have to be brought into the range of ordinary screens": ladder.form.makes_sdr,
        "the picture of the source is turned, interlaced, of full range or has pixels that are not square": (
            not video.is_as_stored
        ),
        "the source has more pictures a second than players take": (video.frame_rate or 0) > MAX_FRAME_RATE + 1,
        "pictures of the source stand for longer than players wait": ladder.pauses is not None,
        "the sound of the source goes on after its last picture": bool(video.end_s) and tail_s > MAX_TAIL_S,
    }
    fitting = [rung for rung in ladder.rungs if (rung.width, rung.height) == (video.width, video.height)]
    reason = next((reason for reason, is_so in obstacles.items() if is_so), None)
    if reason is None and fitting:
        return max(fitting, key=lambda rung: rung.ceiling or rung.bitrate or 0)
    return reason or "none has the size of the source"


def _bit_limit(rung: Rung, ladder: Ladder, *, insists: bool) -> int | None:
    """Return the bits per second that a copy may have in place of a rung; None if any number will do."""
    if rung.has_asked_ceiling:
        return rung.ceiling
    return None if insists else _UNUSUAL * usual_bitrate(min(rung.width, rung.height), ladder.form.codec)


def plan_passage(path: Path, name: str, limit: int | None, *, has_sound: bool) -> Passage | str:
    """Plan how to copy the video at `path` for the rendition called `name`, or tell why that cannot be.

    Reads all its packets and decodes nothing; runs in an isolated child.
    """
    try:
        with open_video(path, name, probe=True) as video:
            pictures = read_groups(video, _LONGEST_GROUP_S)
        if pictures.first_decoded < 1 - CLOCK_START_S or (has_sound and pictures.groups[0].moment > _LATEST_START_S):
            raise UncuttableError("its picture begins much later than its sound")
        step, segments = _segments(pictures)
        _check_bits(segments, pictures.ends, limit)
    except UncuttableError as reason:
        return f"the source cannot be cut: {reason}"
    cuts = tuple(float(segment[0].moment) for segment in segments[1:])
    return Passage(name, float(step), cuts, sum(group.frames for group in pictures.groups), float(pictures.ends))


def _segments(pictures: Pictures) -> tuple[Fraction, list[list[PictureGroup]]]:
    """Return the largest step by which all segments come out well, and the segments. Raises UncuttableError."""
    for step_s in _STEPS_S:
        step = step_s - _EARLY_S
        segments = _cut(pictures.groups, step)
        lengths = list(_lengths(segments, pictures.ends))
        is_even = max(lengths) <= _LONGEST_S and min(lengths[:-1], default=_SHORTEST_S) >= _SHORTEST_S
        if is_even and all(segment[0].is_closed for segment in segments):
            return step, segments
    raise UncuttableError("its keyframes that decode by themselves are not where segments of 6 s could begin")


def _cut(groups: Sequence[PictureGroup], step: Fraction) -> list[list[PictureGroup]]:
    """Cut as ffmpeg's hls muxer does: at the first keyframe after each multiple, counted from the first picture on."""
    segments = [[groups[0]]]
    for group in groups[1:]:
        if group.moment - groups[0].moment >= step * len(segments):
            segments.append([group])
        else:
            segments[-1].append(group)
    return segments


def _lengths(segments: Sequence[Sequence[PictureGroup]], ends: Fraction) -> Iterable[Fraction]:
    moments = [*(segment[0].moment for segment in segments), ends]
    return (after - before for before, after in pairwise(moments))


def _check_bits(segments: Sequence[Sequence[PictureGroup]], ends: Fraction, limit: int | None) -> None:
    """Raise UncuttableError if there are more bits per second than the limit, on average or in a segment."""
    if limit is None:
        return
    sizes = [8 * sum(group.size_bytes for group in segment) for segment in segments]
    lengths = list(_lengths(segments, ends))
    average = sum(sizes) / max(float(sum(lengths)), _SHORTEST_S)
    peak = max(size / max(float(length), _SHORTEST_S) for size, length in zip(sizes, lengths, strict=True))
    if average > limit or peak > limit * _PEAK:
        raise UncuttableError(f"it has {round(average)} bits per second, at most {limit} are wanted")


def follows_plan(passage: Passage, playlists: Iterable[MediaPlaylist]) -> bool:
    """Whether all renditions were cut where the copied one was meant to be."""
    planned = [after - before for before, after in pairwise(passage.cuts)]
    for playlist in playlists:
        made = [segment.duration_s for segment in playlist.segments]
        if len(made) != len(passage.cuts) + 1:
            return False
        if any(abs(one - other) > _SAME_S for one, other in zip(made[1:-1], planned, strict=True)):
            return False
    return True
