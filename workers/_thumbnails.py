"""What a thumbnail job does in its child process; the only door to PyAV for that type."""

from dataclasses import dataclass
from pathlib import Path

from workers._frames import grab
from workers._moments import parse_moment
from workers._pictures import draw
from workers._writing import write_file
from workers.thumbnail import ThumbnailPayload
from workplatform.context import Source
from workplatform.storage.source import opened
from workplatform.storage.uris import file_name


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """What was written, and which frame it shows; `time_s` is counted from the start of the video."""

    size: int
    width: int
    height: int
    time_s: float
    is_past_end: bool


def make_thumbnail(source: Source | Path, target: Path, payload: ThumbnailPayload) -> Thumbnail:
    """Grab the frame that the payload names and write it to `target`.

    Raises BadInputError, EncoderError, NoSpaceError, and what reading a remote video runs into.
    """
    name = file_name(payload.video_path)
    with opened(source) as video:
        grabbed = grab(video, name, parse_moment(payload.timestamp), payload.accuracy)
    picture = draw(grabbed, payload.width, payload.height, format_=payload.format, quality=payload.quality)
    write_file(target, picture.data)
    time_s = round(float(grabbed.time), 6)
    return Thumbnail(len(picture.data), picture.width, picture.height, time_s, grabbed.is_past_end)
