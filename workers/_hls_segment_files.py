"""Opening a segment that was made: behind its initialization section, and with nothing else in reach; in a child."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import av
import av.logging
from av.container import InputContainer

from workers._hls_playlist import INIT
from workplatform.errors import EncoderError

# A segment of a single small picture is too short to be known by itself.
_FORMATS = {".ts": "mpegts", ".m4s": "mp4"}
# A picture may come after minutes of sound.
_UNTIL_ALL_IS_KNOWN = {"protocol_whitelist": "none", "analyzeduration": str(1 << 40), "probesize": str(1 << 40)}


@contextmanager
def opened(segment: Path, *, of: Path | None = None, decodes: bool = False) -> Iterator[InputContainer]:
    """Open a segment with the initialization section of its own folder, or `of` another one, if there is one there.

    Raises EncoderError where it cannot be read, also later on.
    """
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    init = (of or segment.parent) / INIT
    content = BytesIO((init.read_bytes() if init.exists() else b"") + segment.read_bytes())
    options = {} if decodes else {"skip_frame": "all"}
    try:
        with av.open(
            content, "r", format=_FORMATS[segment.suffix], options=options, container_options=_UNTIL_ALL_IS_KNOWN
        ) as container:
            yield container
    except av.FFmpegError as error:
        place = f"{segment.parent.name}/{segment.name}"
        raise EncoderError(f"{place}, which was encoded, cannot be read: {error.strerror}") from error
