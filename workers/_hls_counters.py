"""Continuity counters of transport streams (ISO/IEC 13818-1, 2.4.3.3): a new run of the muxer continues the old one's.

Each packet with a payload counts one up, stream by stream. Players that check this take a counter that starts anew for
lost packets, some of them for damage.
"""

from collections.abc import Mapping
from pathlib import Path

_PACKET = 188
_HAS_PAYLOAD = 0x10
_MODULUS = 16


def shifts(before: Path, after: Path) -> dict[int, int]:
    """Return by how much to raise the counter of each stream, so that one segment continues another."""
    last, first = _counters(before.read_bytes(), is_last=True), _counters(after.read_bytes(), is_last=False)
    return {pid: (last[pid] + 1 - first[pid]) % _MODULUS for pid in first if pid in last}


def shift(segment: Path, by: Mapping[int, int]) -> None:
    """Raise the counters of a segment."""
    content = bytearray(segment.read_bytes())
    for start in range(0, len(content), _PACKET):
        raised = by.get(_pid(content, start))
        if raised:
            flags = content[start + 3]
            content[start + 3] = flags & 0xF0 | (flags + raised) % _MODULUS
    segment.write_bytes(content)


def _counters(content: bytes, *, is_last: bool) -> dict[int, int]:
    """Return the first, or last, counter of each stream that is raised by a packet."""
    found: dict[int, int] = {}
    for start in range(0, len(content), _PACKET):
        flags, pid = content[start + 3], _pid(content, start)
        if flags & _HAS_PAYLOAD and (is_last or pid not in found):
            found[pid] = flags % _MODULUS
    return found


def _pid(content: bytes | bytearray, start: int) -> int:
    return (content[start + 1] & 0x1F) << 8 | content[start + 2]
