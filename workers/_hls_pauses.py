"""Pictures that stand for long, as in slide shows and recorded screens: whether a video has any."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median_low

import av

from workers._packets import VideoPacket
from workers._video import Video, open_video

# Players stop, or never start, where no picture comes for seconds: Chromium at one in a second, in transport streams.
# Where a picture stands for longer than this, it is shown again as often.
LONGEST_PAUSE_S = 0.5
# How long the last picture may stand after it is decoded, which is a few pictures before it is shown.
_LONGEST_END_S = 1
# A clock that leaps by more than this has begun anew, as ffmpeg takes it in containers whose clock may.
_LEAP_S = 10


@dataclass(frozen=True, slots=True)
class Pauses:
    """A video has pauses; between them come `rate` pictures a second, and the last one `last_s` after its start."""

    rate: float
    last_s: float


def find_pauses(path: Path, name: str, *, may_jump: bool) -> Pauses | None:
    """Return what is known of a video in which pictures stand for longer than LONGEST_PAUSE_S; None if none does.

    Takes the index of the file, else reads all of it; runs in an isolated child. `name` is what its user calls it.
    """
    if not _has_any(path, name, may_jump=may_jump):
        return None
    with open_video(path, name, probe=True) as video:
        shown = sorted(packet.pts for packet in _packets(video) if packet.pts is not None)
        longest = LONGEST_PAUSE_S / video.tick
        usual = [after - before for before, after in pairwise(shown) if 0 < after - before <= longest]
        tick_s = float(video.tick)
        length_s = median_low(usual) * tick_s if usual else LONGEST_PAUSE_S
        return Pauses(1 / length_s, (shown[-1] - video.origin) * tick_s if shown else 0.0)


def _has_any(path: Path, name: str, *, may_jump: bool) -> bool:
    with open_video(path, name, probe=False) as video:
        if _is_listed(video):
            return _stands(video, may_jump=may_jump)
    # Without probing, a container's length is taken for that of its picture.
    with open_video(path, name, probe=True) as video:
        return _stands(video, may_jump=may_jump)


def _is_listed(video: Video) -> bool:
    """Whether the index at hand has all pictures."""
    index = video.stream.index_entries
    return bool(index) and len(index) == video.stream.frames


def _stands(video: Video, *, may_jump: bool) -> bool:
    longest, leap = LONGEST_PAUSE_S / video.tick, _LEAP_S / video.tick
    decoded = _decoded(video)
    last = next(decoded, None)
    if last is None:
        return False
    for moment in decoded:
        if moment - last > longest and not (may_jump and moment - last > leap):
            return True
        last = moment
    return video.declared_end is not None and (video.declared_end - last) * video.tick > _LONGEST_END_S


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
