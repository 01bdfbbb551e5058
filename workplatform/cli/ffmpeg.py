"""Which ffmpeg the platform uses, for the commands that need to know."""

import shutil

import imageio_ffmpeg

from workplatform.cli.errors import CommandError
from workplatform.settings import Settings


def program(settings: Settings) -> str:
    """Return the path of FFMPEG_BIN, or of the ffmpeg that came with pip.

    Raises CommandError where there is none.
    """
    if not settings.ffmpeg_bin:
        try:
            return str(imageio_ffmpeg.get_ffmpeg_exe())
        except RuntimeError as error:
            raise CommandError("there is no ffmpeg: pip install imageio-ffmpeg, or set FFMPEG_BIN") from error
    found = shutil.which(settings.ffmpeg_bin)
    if found is None:
        raise CommandError(f"FFMPEG_BIN={settings.ffmpeg_bin} is no program: correct it, or leave it empty")
    return found
