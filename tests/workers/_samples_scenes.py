"""Films of chosen scenes: what tells something of a film, and what does not."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from tests.workers._samples_video import ffmpeg

SIZE = (320, 180)
_TEXT = ("THE FILM", "by somebody", "and by somebody else", "with music")


def scene() -> Image.Image:
    """Draw what a camera sees: light and dark, colours, detail at every scale."""
    picture = Image.merge("RGB", [Image.effect_noise(SIZE, 20 + 10 * channel) for channel in range(3)])
    for size, contrast in ((40, 40), (10, 60), (4, 90)):
        small = (size, max(2, size * SIZE[1] // SIZE[0]))
        rough = Image.merge("RGB", [Image.effect_noise(small, contrast) for _ in range(3)])
        picture = Image.blend(picture, rough.resize(SIZE, Image.Resampling.BICUBIC), 0.5)
    return ImageEnhance.Contrast(picture).enhance(2.5)


def black() -> Image.Image:
    """Draw nothing."""
    return Image.new("RGB", SIZE)


def noise() -> Image.Image:
    """Draw what a television without an aerial shows."""
    return Image.merge("RGB", [Image.effect_noise(SIZE, 110)] * 3)


def title(background: tuple[int, int, int] = (10, 10, 60)) -> Image.Image:
    """Draw words on one colour."""
    picture = Image.new("RGB", SIZE, background)
    draw = ImageDraw.Draw(picture)
    for line, words in enumerate(_TEXT):
        draw.text((60, 20 + 40 * line), words, fill=(255, 255, 255), font_size=24)
    return picture


def title_on_gradient() -> Image.Image:
    """Draw words on a background that goes from dark to light."""
    picture = Image.linear_gradient("L").resize(SIZE).convert("RGB")
    ImageDraw.Draw(picture).text((60, 70), _TEXT[0], fill=(255, 0, 0), font_size=40)
    return picture


def blurred(picture: Image.Image) -> Image.Image:
    """Move the camera too fast."""
    return picture.filter(ImageFilter.GaussianBlur(8))


def faded(picture: Image.Image, share: float) -> Image.Image:
    """Fade a picture towards black."""
    return ImageEnhance.Brightness(picture).enhance(share)


def film_of(path: Path, scenes: Sequence[Image.Image], *options: object, keyframe_every: int = 5) -> Path:
    """Make a film that shows each scene for a second, at five frames a second."""
    folder = path.with_name(f"{path.name}.scenes")
    folder.mkdir()
    for number, picture in enumerate(scenes):
        picture.save(folder / f"{number:03}.png")
    source = ("-framerate", 1, "-i", folder / "%03d.png", "-r", 5, "-pix_fmt", "yuv420p")
    ffmpeg(*source, "-c:v", "libx264", "-preset", "ultrafast", "-sc_threshold", 0, "-g", keyframe_every, *options, path)
    return path
