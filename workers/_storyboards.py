"""What a storyboard job does in its child process; the only door to PyAV for that type."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

from av.video.reformatter import VideoReformatter

from workers._encodings import BLACK, on_background
from workers._keyframes import Shot, length_s, nearest_keyframes, read_length_s
from workers._pictures import upright
from workers._sheets import SheetWriter
from workers._sprites import CUES, MAX_SIDE, Grid, webvtt
from workers._video import Medium, open_video
from workers._writing import write_file
from workers.storyboard import MOST_PICTURES, StoryboardPayload
from workplatform.context import Source
from workplatform.errors import BadInputError
from workplatform.storage.source import opened
from workplatform.storage.uris import file_name

# Asked for nothing, a film gets a picture every 10 s, a shorter video about a hundred of them, a clip one a second.
_USUAL_COUNT = 100
_USUAL_INTERVALS_S = (1, 10)
_SHORTEST_S = Fraction(1, 100)


@dataclass(frozen=True, slots=True)
class Step:
    """How many of the pictures are done, and the sheet that is now complete, if one is."""

    done: int
    count: int
    sheet: str | None


@dataclass(frozen=True, slots=True)
class Storyboard:
    """What was written; times in seconds.

    `distinct` is the number of different pictures, `missing` that of the ones that stand for some that cannot be read.
    """

    grid: Grid
    interval: Fraction
    duration: Fraction
    size: int
    distinct: int
    missing: int


@dataclass(frozen=True, slots=True)
class _Times:
    count: int
    interval: Fraction
    duration: Fraction

    @property
    def middles(self) -> list[Fraction]:
        """The moments in the middle of the intervals."""
        starts = [self.interval * number for number in range(self.count)]
        return [(start + min(start + self.interval, self.duration)) / 2 for start in starts]


def make_storyboard(
    source: Source | Path, folder: Path, payload: StoryboardPayload
) -> Generator[Step, None, Storyboard]:
    """Write sheets and cues to `folder`, telling of each picture.

    Raises BadInputError, NoSpaceError, and what reading a remote video runs into.
    """
    name = file_name(payload.video_path)
    with opened(source) as medium:
        for probe in (False, True):
            made = yield from _attempt(medium, name, folder, payload, probe=probe)
            if made is not None:
                return made
    raise BadInputError(f"damaged video: no picture of {name} can be decoded")


def _attempt(
    medium: Medium, name: str, folder: Path, payload: StoryboardPayload, *, probe: bool
) -> Generator[Step, None, Storyboard | None]:
    """Make it, with or without probing the streams first; None if no picture came out."""
    with open_video(medium, name, probe=probe) as video:
        duration = length_s(video)
        if duration:
            times = _times(payload, name, duration)
            return (yield from _drawn(folder, payload, times, nearest_keyframes(video, times.middles)))
        duration = read_length_s(video)
    if not duration:
        return None
    with open_video(medium, name, probe=probe) as video:
        times = _times(payload, name, duration)
        return (yield from _drawn(folder, payload, times, nearest_keyframes(video, times.middles)))


def _times(payload: StoryboardPayload, name: str, duration: Fraction) -> _Times:
    """Choose how many pictures there are and how far they are apart."""
    if payload.count is not None:
        count = max(1, min(payload.count, int(duration / _SHORTEST_S)))
        return _Times(count, duration / count, duration)
    least, most = _USUAL_INTERVALS_S
    interval = min(max(duration / _USUAL_COUNT, Fraction(least)), Fraction(most))
    if payload.interval is not None:
        interval = Fraction(str(payload.interval))
    count = max(1, ceil((duration - _SHORTEST_S) / interval))
    if count > MOST_PICTURES:
        least_s = ceil(duration / MOST_PICTURES * 10) / 10
        raise BadInputError(
            f"{name} lasts {float(duration):.0f} s, which would be {count} pictures, at most {MOST_PICTURES} are made: "
            f"give an interval of at least {least_s:g} s"
        )
    return _Times(count, interval, duration)


def _drawn(
    folder: Path, payload: StoryboardPayload, times: _Times, shots: Iterator[Shot]
) -> Generator[Step, None, Storyboard | None]:
    writer: SheetWriter | None = None
    grid: Grid | None = None
    done = distinct = missing = 0
    scaler = VideoReformatter()
    for shot in shots:
        room = MAX_SIDE if grid is None else grid.height
        picture = on_background(upright(shot.grab, payload.width, room, scaler=scaler), BLACK)
        if grid is None or writer is None:
            grid = Grid(times.count, picture.width, picture.height, payload.columns, payload.format)
            writer = SheetWriter(folder, grid, quality=payload.quality)
        if picture.size != (grid.width, grid.height):
            picture = picture.resize((grid.width, grid.height))
        distinct += shot.missing < shot.moments
        missing += shot.missing
        for _ in range(shot.moments):
            done += 1
            yield Step(done, times.count, writer.add(picture))
    if grid is None or writer is None:
        return None
    cues = webvtt(grid, times.interval, times.duration).encode()
    write_file(folder / CUES, cues)
    return Storyboard(grid, times.interval, times.duration, writer.size + len(cues), distinct, missing)
