"""What a thumbnail job does in its child process; the only door to PyAV for that type."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from av.video.reformatter import VideoReformatter

from workers._frames import Grab, grab_each
from workers._moments import parse_moment
from workers._pictures import draw
from workers._telling import most_telling
from workers._video import Medium
from workers._writing import write_file
from workers.thumbnail import AUTO, ThumbnailPayload
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
    blurhash: str


def make_thumbnails(
    source: Source | Path, targets: Sequence[Path], payload: ThumbnailPayload
) -> Generator[int, None, list[Thumbnail]]:
    """Grab the frames that the payload names and write each to its target; tell how many are there on the way.

    Raises BadInputError, EncoderError, NoSpaceError, and what reading a remote video runs into.
    """
    made: dict[int, Thumbnail] = {}
    scaler = VideoReformatter()
    with opened(source) as video:
        for number, grabbed in _grabbed(video, file_name(payload.video_path), payload):
            made[number] = _written(grabbed, targets[number], payload, scaler)
            if len(made) < len(targets):
                yield len(made)
    return [made[number] for number in range(len(targets))]


def _grabbed(video: Medium, name: str, payload: ThumbnailPayload) -> Iterator[tuple[int, Grab]]:
    """Yield each frame as it is decoded, with its place in the payload."""
    told = [number for number, moment in enumerate(payload.moments) if moment != AUTO]
    moments = [parse_moment(payload.moments[number]) for number in told]
    if moments:
        for place, grabbed in grab_each(video, name, moments, payload.accuracy):
            yield told[place], grabbed
    if AUTO in payload.moments:
        yield payload.moments.index(AUTO), most_telling(video, name)


def _written(grabbed: Grab, target: Path, payload: ThumbnailPayload, scaler: VideoReformatter) -> Thumbnail:
    picture = draw(
        grabbed, payload.width, payload.height, format_=payload.format, quality=payload.quality, scaler=scaler
    )
    write_file(target, picture.data)
    time_s = round(float(grabbed.time), 6)
    return Thumbnail(len(picture.data), picture.width, picture.height, time_s, grabbed.is_past_end, picture.blurhash)
