"""Pictures and videos whose content tells which way up, which frame and which colour they are."""

from pathlib import Path

from PIL import Image

from tests.workers._samples_video import ffmpeg

Colour = tuple[int, int, int]

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)
CORNERS = (RED, GREEN, BLUE, WHITE)
"""The colours of a sample's corners: upper left, upper right, lower left, lower right."""


def corners_picture(width: int = 160, height: int = 96, mode: str = "RGB") -> Image.Image:
    """Draw a picture of four coloured quarters."""
    picture = Image.new("RGB", (width, height), WHITE)
    picture.paste(RED, (0, 0, width // 2, height // 2))
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    return picture.convert(mode)


def corners_video(path: Path, *options: str, width: int = 160, height: int = 96) -> Path:
    """Make a second of video that shows the four quarters."""
    still = path.with_name(f"{path.name}.png")
    corners_picture(width, height).save(still)
    ffmpeg("-loop", 1, "-framerate", 10, "-t", 1, "-i", still, *(options or ("-pix_fmt", "yuv420p")), path)
    return path


def numbered_video(path: Path, *options: str, seconds: float = 3, rate: int = 25) -> Path:
    """Make a video of which every frame differs from every other."""
    source = f"testsrc2=size=160x90:rate={rate}:duration={seconds}"
    ffmpeg("-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", *options, path)
    return path


def corners_of(picture: Image.Image) -> list[Colour]:
    """Return the colours in the middle of a picture's quarters, in the order of CORNERS."""
    flat = picture.convert("RGB")
    places = [(x, y) for y in (0.25, 0.75) for x in (0.25, 0.75)]
    found = [flat.getpixel((int(flat.width * x), int(flat.height * y))) for x, y in places]
    return [(int(one[0]), int(one[1]), int(one[2])) for one in found if isinstance(one, tuple)]


def looks_like(found: Colour, wanted: Colour, *, within: int = 12) -> bool:
    """Whether two colours differ by no more than lossy coding does."""
    return all(abs(one - other) <= within for one, other in zip(found, wanted, strict=True))


def assert_corners(picture: Image.Image, *wanted: Colour, within: int = 12) -> None:
    """Check the colours of a picture's quarters."""
    found = corners_of(picture)
    assert all(looks_like(one, other, within=within) for one, other in zip(found, wanted, strict=True)), found
