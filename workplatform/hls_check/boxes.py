"""Fragmented MP4: which boxes an initialization section and a segment have (RFC 8216bis, section 3.1.2)."""

from collections.abc import Iterator

_FIRST_BOXES = (b"ftyp", b"styp", b"moof", b"sidx", b"emsg", b"prft", b"moov", b"mdat", b"free", b"skip")
_MOST_BOXES = 10_000


def looks_like_boxes(data: bytes) -> bool:
    """Whether bytes begin like a file of boxes."""
    return data[4:8] in _FIRST_BOXES


def problems_of_init(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield what an initialization section lacks, or should not have."""
    top = dict(boxes(data))
    if b"ftyp" not in top:
        yield "fmp4-init", "the initialization section has no ftyp box"
    if b"moov" not in top:
        yield "fmp4-init", "the initialization section has no moov box"
    elif b"mvex" not in dict(boxes(top[b"moov"])):
        yield "fmp4-init", "the moov box has no mvex box: it is a whole file, not the beginning of fragments"
    if b"moof" in top:
        yield "fmp4-init", "the initialization section holds fragments itself"


def problems_of_segment(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield what a segment lacks."""
    found = list(boxes(data))
    names = [name for name, _ in found]
    if sum(8 + len(body) for _, body in found) < len(data):
        yield "fmp4-boxes", "the boxes do not end where the segment does"
    if b"moof" not in names or b"mdat" not in names:
        yield "fmp4-boxes", "the segment has no moof and mdat boxes"
    for name, body in found:
        if name != b"moof":
            continue
        for inner, fragment in boxes(body):
            if inner == b"traf" and b"tfdt" not in dict(boxes(fragment)):
                yield "fmp4-boxes", "a track fragment has no tfdt box: nothing tells when it plays"
                return


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and body of each box as far as they are whole; sizes of 64 bits count as 8 bytes of the body."""
    at = 0
    for _ in range(_MOST_BOXES):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        elif size == 0:
            size = len(data) - at
        if size < 8 or at + size > len(data):
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size
