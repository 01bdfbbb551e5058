"""Whether ffmpeg has written all that it meant to: its HLS muxer passes over a full disk without a word."""

from contextlib import suppress
from pathlib import Path

from workers._writing import write_file
from workplatform.errors import EncoderError, JobError, NoSpaceError

_PACKET = 188
_BOX_HEAD = 8
_PROBE_BYTES = 1 << 16


def is_whole(segment: Path) -> bool:
    """Whether a segment ends where one can end: behind a packet of a transport stream, or a box of MP4."""
    size = segment.stat().st_size
    if segment.suffix == ".ts":
        return size > 0 and size % _PACKET == 0
    with segment.open("rb") as file:
        place = 0
        while place < size:
            file.seek(place)
            length = int.from_bytes(file.read(_BOX_HEAD)[:4], "big")
            if length < _BOX_HEAD:
                return False
            place += length
    return 0 < size == place


def unwritten(folder: Path, what: str) -> JobError:
    """Return the error that tells why something in a folder is not whole."""
    probe = folder / ".room"
    try:
        write_file(probe, bytes(_PROBE_BYTES))
    except NoSpaceError:
        return NoSpaceError(f"the disk is full: ffmpeg could not write {what}")
    finally:
        with suppress(OSError):
            probe.unlink()
    return EncoderError(f"ffmpeg has not written all of {what}")
