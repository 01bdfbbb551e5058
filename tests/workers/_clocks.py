"""Videos whose brightness tells which second it is."""

from pathlib import Path

from PIL import Image, ImageStat

from tests.workers._samples_video import ffmpeg

_STEP = 10
"""Grey levels from one second to the next."""


def clock_video(path: Path, *options: str, seconds: int = 20, rate: int = 10, gop: int = 10) -> Path:
    """Make a video that gets brighter every second; keyframes come every `gop` frames, by default on the second."""
    bright = f"geq=lum='16+{_STEP}*floor(T)':cb=128:cr=128"
    source = f"color=black:size=64x36:rate={rate}:duration={seconds},{bright}"
    encoder = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", gop, "-sc_threshold", "0")
    ffmpeg("-f", "lavfi", "-i", source, *encoder, "-pix_fmt", "yuv420p", *options, path)
    return path


def second_of(picture: Image.Image) -> int:
    """Return the second that a picture of such a video shows."""
    level = ImageStat.Stat(picture.convert("L")).mean[0]
    return round(level * 219 / 255 / _STEP)
