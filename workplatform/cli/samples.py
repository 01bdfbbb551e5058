"""The demo's sample video and photo."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from workplatform.cli.errors import CommandError

_TIMEOUT_S = 120
_SECONDS = 6


def make_video(ffmpeg: str, path: Path) -> None:
    """Make a short 1080p video with sound; an existing one is kept."""
    _make(
        ffmpeg,
        path,
        ["-f", "lavfi", "-i", f"testsrc2=size=1920x1080:rate=30:duration={_SECONDS}"],
        ["-f", "lavfi", "-i", f"sine=frequency=440:duration={_SECONDS}"],
        ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest"],
    )


def make_photo(ffmpeg: str, path: Path) -> None:
    """Make a large JPEG; an existing one is kept."""
    _make(ffmpeg, path, ["-f", "lavfi", "-i", "mandelbrot=size=2400x1600:rate=1"], ["-frames:v", "1", "-q:v", "3"])


def _make(ffmpeg: str, path: Path, *options: Sequence[str]) -> None:
    """Run ffmpeg into a sibling and rename, so that an interrupted demo leaves no half sample."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_stem(f"{path.stem}.part")
    words = [word for part in options for word in part]
    command = [ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *words, str(partial)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"cannot make {path.name}: {error}") from error
    if ended.returncode != 0:
        raise CommandError(f"cannot make {path.name}: {ended.stderr.strip()}")
    partial.replace(path)
