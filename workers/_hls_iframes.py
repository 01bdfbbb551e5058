"""I-frame playlists for trick play (RFC 8216bis section 4.4.3.6): where in its segment each keyframe is.

Of each segment the first picture is listed, which is a keyframe. Its bytes begin with what a decoder needs first, the
tables of a transport stream or the head of a fragment.
"""

from dataclasses import replace
from pathlib import Path

from workers._hls_playlist import MediaPlaylist, Segment
from workplatform.errors import EncoderError

_PACKET = 188
_SYNC = 0x47
_TABLES_PID, _NO_PID = 0, 0x1FFF
_VIDEO_STREAM = 0xE0
_START_CODE = b"\x00\x00\x01"
# The head of a fragment is small; a keyframe can be large. Reading goes on in steps of this many bytes.
_STEP_BYTES = 2048 * _PACKET
_BOX_HEAD = 8
_FLAG_DATA_OFFSET, _FLAG_FIRST_FLAGS = 0x1, 0x4
_FLAG_DURATION, _FLAG_SIZE = 0x100, 0x200
_TFHD_BASE, _TFHD_DESCRIPTION, _TFHD_DURATION, _TFHD_SIZE = 0x1, 0x2, 0x8, 0x10


def iframes_of(folder: Path, playlist: MediaPlaylist) -> MediaPlaylist:
    """Return the keyframes of the segments in a folder, by byte ranges. Raises EncoderError if there is none in one."""
    return MediaPlaylist(tuple(_iframe(folder, segment) for segment in playlist.segments), playlist.head)


def _iframe(folder: Path, segment: Segment) -> Segment:
    find = fragment_keyframe if segment.name.endswith(".m4s") else transport_keyframe
    found = find(folder / segment.name)
    if found is None:
        raise EncoderError(f"{folder.name}/{segment.name} has no keyframe at its beginning")
    start, end = found
    return replace(segment, start=start, size_bytes=end - start)


def transport_keyframe(path: Path) -> tuple[int, int] | None:
    """Return the bytes, whole packets, from the tables before a transport stream's first picture to that one's end.

    They come again and again; behind the first ones there is sound if the picture begins later than it.
    """
    pid, start, end = _NO_PID, 0, 0
    with path.open("rb") as file:
        base = 0
        while chunk := file.read(_STEP_BYTES):
            for place in range(0, len(chunk) - _PACKET + 1, _PACKET):
                packet = chunk[place : place + _PACKET]
                if packet[0] != _SYNC:
                    return None
                its_pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
                begins = bool(packet[1] & 0x40)
                if pid == _NO_PID and begins and its_pid == _TABLES_PID:
                    start = base + place
                elif pid == _NO_PID and begins and _is_picture(packet):
                    pid = its_pid
                elif its_pid == pid and begins:
                    return start, end
                if its_pid == pid:
                    end = base + place + _PACKET
            base += len(chunk)
    return (start, end) if end else None


def _is_picture(packet: bytes) -> bool:
    """Whether a packet begins an elementary stream packet of a picture (ISO/IEC 13818-1, 2.4.3)."""
    payload = packet[4 + (1 + packet[4] if packet[3] & 0x20 else 0) :] if packet[3] & 0x10 else b""
    return payload[:3] == _START_CODE and len(payload) > 3 and payload[3] & 0xF0 == _VIDEO_STREAM


def fragment_keyframe(path: Path) -> tuple[int, int] | None:
    """Return the bytes from a fragment's head (`moof`) to the end of the first sample of its first track."""
    with path.open("rb") as file:
        place, size = 0, path.stat().st_size
        while place + _BOX_HEAD <= size:
            file.seek(place)
            head = file.read(_BOX_HEAD)
            length = int.from_bytes(head[:4], "big")
            if length < _BOX_HEAD:
                return None
            if head[4:] == b"moof":
                end = _first_sample_end(file.read(length - _BOX_HEAD))
                return (place, place + end) if end else None
            place += length
    return None


def _first_sample_end(moof: bytes) -> int | None:
    """Return where the first sample of the first track ends, in bytes after the beginning of the fragment."""
    track = _box(moof, b"traf")
    header, run = _box(track, b"tfhd"), _box(track, b"trun")
    if len(header) < 8 or len(run) < 8:
        return None
    flags = int.from_bytes(run[1:4], "big")
    if not flags & _FLAG_DATA_OFFSET:
        return None
    offset = int.from_bytes(run[8:12], "big", signed=True)
    if flags & _FLAG_SIZE:
        at = 12 + 4 * bool(flags & _FLAG_FIRST_FLAGS) + 4 * bool(flags & _FLAG_DURATION)
        return offset + int.from_bytes(run[at : at + 4], "big")
    return offset + _usual_size(header)


def _usual_size(header: bytes) -> int:
    """Return the size that samples of a track have unless they say otherwise (ISO/IEC 14496-12, 8.8.7)."""
    flags = int.from_bytes(header[1:4], "big")
    at = 8 + 8 * bool(flags & _TFHD_BASE) + 4 * bool(flags & _TFHD_DESCRIPTION) + 4 * bool(flags & _TFHD_DURATION)
    return int.from_bytes(header[at : at + 4], "big") if flags & _TFHD_SIZE else 0


def _box(content: bytes, kind: bytes) -> bytes:
    """Return the content of the first box of a kind; empty if there is none."""
    place = 0
    while place + _BOX_HEAD <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        if length < _BOX_HEAD:
            break
        if content[place + 4 : place + _BOX_HEAD] == kind:
            return content[place + _BOX_HEAD : place + length]
        place += length
    return b""
