"""Videos whose pictures tell their number, by black and white stripes."""

from pathlib import Path

import av

from tests.workers._samples_video import ffmpeg, picture, tone

_BITS, _SIZE = 16, "160x90"
STRIPES = f"geq=lum='16+219*mod(floor(N/pow(2,floor(X*{_BITS}/W))),2)':cb=128:cr=128"
_ENCODED = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")


def numbered(
    path: Path, shown: str = "1", *options: object, seconds: int = 30, sound_s: int = 30, heard: str = "1"
) -> Path:
    """Make a video of ten pictures a second, of which only some are `shown` and `heard`: ffmpeg expressions."""
    sound = (*tone(sound_s), "-af", f"aselect='{heard}'") if sound_s else ()
    inputs = (*picture(_SIZE, 10, seconds), *sound)
    ffmpeg(*inputs, "-vf", f"{STRIPES},select='{shown}'", "-fps_mode", "vfr", *_ENCODED, *options, path)
    return path


def numbers(path: Path) -> list[tuple[float, int]]:
    """Return when each picture is shown, in seconds after the start of the file, and its number."""
    with av.open(str(path)) as container:
        begin_s = (container.start_time or 0) / av.time_base
        return [(frame.time - begin_s, _number(frame)) for frame in container.decode(video=0) if frame.time is not None]


def _number(frame: av.VideoFrame) -> int:
    grey = frame.reformat(format="gray")
    middle = bytes(grey.planes[0])[grey.height // 2 * grey.planes[0].line_size :]
    width = frame.width / _BITS
    return sum((middle[round((bit + 0.5) * width)] > 128) << bit for bit in range(_BITS))
