"""MPEG transport streams: packets, tables and counters (RFC 8216bis, section 3.1.1; ISO 13818-1)."""

from collections.abc import Iterator

PACKET_BYTES = 188
_SYNC = 0x47
_PAT = 0
_NULL_PID = 0x1FFF
_FILL = 0xFF


def looks_like_packets(data: bytes) -> bool:
    """Whether bytes begin like a transport stream."""
    return data[:1] == b"\x47" and data[PACKET_BYTES : PACKET_BYTES + 1] in (b"\x47", b"")


def tables(data: bytes) -> bytes:
    """Return the first packets of the program's tables, which a byte range in the middle of a file lacks."""
    pat = next((packet for packet in _packets(data) if _pid(packet) == _PAT), b"")
    pmt_pid = _pmt_pid(pat)
    return pat + next((packet for packet in _packets(data) if _pid(packet) == pmt_pid), b"") if pat else b""


def problems_of(data: bytes, *, is_part: bool = False) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with packets; a `part` of a file need not begin with tables."""
    if len(data) % PACKET_BYTES:
        yield "ts-packets", f"{len(data)} bytes are no whole number of packets of {PACKET_BYTES}"
    lost = next((at for at in range(0, len(data), PACKET_BYTES) if data[at] != _SYNC), None)
    if lost is not None:
        yield "ts-packets", f"there is no sync byte at {lost}"
        return
    if not is_part:
        yield from _problems_of_tables(data)
    yield from _jumps(data)


def _problems_of_tables(data: bytes) -> Iterator[tuple[str, str]]:
    pids = [_pid(packet) for packet in _packets(data)]
    if _PAT not in pids:
        yield "ts-tables", "there is no program association table"
        return
    pat = next(packet for packet in _packets(data) if _pid(packet) == _PAT)
    pmt_pid = _pmt_pid(pat)
    if pmt_pid not in pids:
        yield "ts-tables", "there is no program map table"
        return
    others = [at for at, pid in enumerate(pids) if pid not in (_PAT, pmt_pid, _NULL_PID, 0x11)]
    if others and others[0] < max(pids.index(_PAT), pids.index(pmt_pid)):
        yield "ts-tables-late", "media comes before the program's tables"


def _jumps(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield where a packet was lost or came twice: counters of a stream rise by one unless they are told anew."""
    last: dict[int, int] = {}
    jumps = 0
    for packet in _packets(data):
        pid, has_payload = _pid(packet), packet[3] & 0x10
        has_field = bool(packet[3] & 0x20) and packet[4] > 0
        if pid == _NULL_PID or not has_payload:
            continue
        counter = packet[3] & 0x0F
        is_told = has_field and bool(packet[5] & 0x80)
        jumps += pid in last and not is_told and counter not in ((last[pid] + 1) % 16, last[pid])
        last[pid] = counter
    if jumps:
        yield "ts-counters", f"{jumps} packets do not continue their stream's counter"


def _packets(data: bytes) -> Iterator[bytes]:
    return (data[at : at + PACKET_BYTES] for at in range(0, len(data) - PACKET_BYTES + 1, PACKET_BYTES))


def _pid(packet: bytes) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def _pmt_pid(pat: bytes) -> int | None:
    """Return where the first program's map is, from the packet of the association table."""
    if len(pat) < PACKET_BYTES:
        return None
    at = 4 + (1 + pat[4] if pat[3] & 0x20 else 0)
    if at >= PACKET_BYTES:
        return None
    at += 1 + pat[at] + 8
    while at + 4 <= PACKET_BYTES and pat[at] != _FILL:
        program, pid = pat[at] << 8 | pat[at + 1], (pat[at + 2] & 0x1F) << 8 | pat[at + 3]
        if program:
            return pid
        at += 4
    return None
