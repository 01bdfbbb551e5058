"""Which picture is on screen at a moment of a video, and where decoding begins for it; runs in an isolated child."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from workers._packets import UnfitError, group_of_pictures, pts
from workers._video import Video, open_video


@dataclass(frozen=True, slots=True)
class Opening:
    """When the picture on screen, its keyframe and the next picture begin, in seconds after the start of the file.

    `next_s` is None after the last picture.
    """

    key_s: float
    shown_s: float
    next_s: float | None


def find_openings(path: Path, moments_s: Sequence[float]) -> list[Opening | None]:
    """Return the opening for each moment; None where no picture is on screen, or the packets do not tell.

    Raises BadInputError if the video cannot be opened.
    """
    with open_video(path, path.name, probe=True) as video:
        return [_opening(video, moment_s) for moment_s in moments_s]


def _opening(video: Video, moment_s: float) -> Opening | None:
    begin = round(Fraction(video.container.start_time or 0, av.time_base) / video.tick)
    target = begin + round(Fraction(moment_s) / video.tick)
    try:
        packets = group_of_pictures(video, target, keyframe_only=False)
        shown = [pts(packet) for packet in packets if not packet.is_discard]
        key = pts(packets[0])
    except (UnfitError, av.FFmpegError):
        return None
    due = [time for time in shown if time <= target]
    if not due or not video.has_shown_times:
        return None
    following = min((time for time in shown if time > target), default=None)
    key_s, shown_s = (float((time - begin) * video.tick) for time in (key, max(due)))
    return Opening(key_s, shown_s, None if following is None else float((following - begin) * video.tick))
