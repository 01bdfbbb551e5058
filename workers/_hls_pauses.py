"""Pictures that stand for long, as in slide shows and recorded screens: whether a video has any."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path
from statistics import median_low

import av

from workers._packets import VideoPacket
from workers._probe import SourceVideo
from workers._video import Video, open_video

# Players stop, or never start, where no picture comes for seconds: Chromium at one in a second, in transport streams.
# Where a picture stands for longer than this, it is shown again as often.
LONGEST_PAUSE_S = 0.5
# How long the last picture may stand after it is decoded, which is a few pictures before it is shown.
_LONGEST_END_S = 1
# So many pictures at most come before one that is shown before them.
_MOST_REORDERED = 17


@dataclass(frozen=True, slots=True)
class Pauses:
    """A video has pauses, the longest one of `longest_s` seconds; between them come `rate` pictures a second.

    The first picture and the last one come so long after its start.
    """

    rate: float
    first_s: float
    last_s: float
    longest_s: float


def find_pauses(path: Path, name: str, seen: SourceVideo) -> Pauses | None:
    """Return what is known of a video in which pictures stand for longer than LONGEST_PAUSE_S; None if none does.

    Takes the index of the file, else reads all of it; runs in an isolated child. `name` is what its user calls it, and
    `seen` what the probe has seen of it.
    """
    # Encoders have to be told a rate: of too few pictures at the beginning ffmpeg makes a wild guess.
    if seen.frame_rate is not None and not _has_any(path, name, seen):
        return None
    with open_video(path, name, probe=True) as video:
        moments = [packet.pts for packet in _packets(video) if packet.pts is not None]
        shown = sorted(moments)
        longest = LONGEST_PAUSE_S / video.tick
        steps = [after - before for before, after in pairwise(shown)]
        usual = [step for step in steps if 0 < step <= longest]
        tick_s = float(video.tick)
        length_s = median_low(usual) * tick_s if usual else LONGEST_PAUSE_S
        # A clock that begins anew may say less later on.
        first, last = min(moments[:_MOST_REORDERED], default=0), shown[-1] if shown else 0
        first_s, last_s = (first - video.origin) * tick_s, (last - video.origin) * tick_s
        return Pauses(1 / length_s, first_s, last_s, max(steps, default=0) * tick_s)


def _has_any(path: Path, name: str, seen: SourceVideo) -> bool:
    with open_video(path, name, probe=False) as video:
        if _is_listed(video):
            return _stands(video, seen)
    # Without probing, a container's length is taken for that of its picture.
    with open_video(path, name, probe=True) as video:
        return _stands(video, seen)


def _is_listed(video: Video) -> bool:
    """Whether the index at hand has all pictures."""
    index = video.stream.index_entries
    return bool(index) and len(index) == video.stream.frames


def _stands(video: Video, seen: SourceVideo) -> bool:
    longest = LONGEST_PAUSE_S / video.tick
    leap = inf if seen.longest_step_s is None else seen.longest_step_s / video.tick
    decoded = _decoded(video)
    first = last = next(decoded, None)
    if first is None or last is None:
        return False
    for moment in decoded:
        if longest < moment - last <= leap:
            return True
        last = moment
    if video.declared_end is not None and (video.declared_end - last) * video.tick > _LONGEST_END_S:
        return True
    # One picture with a song is the extreme: shown again at its own rate, there would be thousands.
    lasting = max(seen.end_s or 0.0, seen.sound_end_s or 0.0) - (last - video.origin) * video.tick
    return last - first <= longest and lasting > _LONGEST_END_S


def _decoded(video: Video) -> Iterator[int]:
    """Yield when pictures are decoded, in ticks: as far apart as when they are shown, and in the order of the file.

    Where packets are read, the end of the last one comes too.
    """
    if _is_listed(video):
        yield from (entry.timestamp for entry in video.stream.index_entries)
        return
    end = None
    for packet in _packets(video):
        if packet.dts is not None:
            yield packet.dts
            end = packet.dts + (packet.duration or 0)
    if end is not None:
        yield end


def _packets(video: Video) -> Iterator[VideoPacket]:
    """Yield the packets of the picture, up to damage."""
    with suppress(av.FFmpegError):
        yield from video.container.demux(video.stream)
