"""The poster of an HLS stream; runs in an isolated child."""

from pathlib import Path

from workers._pictures import draw
from workers._telling import most_telling
from workers._writing import write_file

_QUALITY = 85


def make_poster(source: Path, name: str, target: Path, *, width: int, height: int) -> None:
    """Write a telling picture of a video as JPEG, no larger than given in pixels.

    Raises BadInputError, naming the video as `name`, EncoderError and NoSpaceError.
    """
    picture = draw(most_telling(source, name), width, height, format_="jpg", quality=_QUALITY)
    write_file(target, picture.data)
