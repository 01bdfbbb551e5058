"""Names of codecs after RFC 6381, told from parameter sets in the bitstream."""

from collections.abc import Iterator

_START = b"\x00\x00\x01"
_AVC_SPS = 7
_HEVC_SPS = 33
_SIMPLE = {"ac3": "ac-3", "eac3": "ec-3", "mp3": "mp4a.40.34", "opus": "Opus", "flac": "fLaC", "alac": "alac"}


def avc_name(head: bytes) -> str | None:
    """Name H.264 by its avcC box or by a byte stream with a sequence parameter set."""
    if head[:1] == b"\x01" and len(head) > 6:
        return f"avc1.{head[1:4].hex()}"
    unit = next((unit for unit in units(head) if unit[0] & 0x1F == _AVC_SPS and len(unit) > 3), None)
    return f"avc1.{unit[1:4].hex()}" if unit else None


def hevc_name(head: bytes) -> str | None:
    """Name H.265 by its hvcC box or by a byte stream with a sequence parameter set."""
    if head[:1] == b"\x01" and len(head) > 22:
        return _hevc(head[1:13])
    unit = next((unit for unit in units(head) if unit[0] >> 1 & 0x3F == _HEVC_SPS and len(unit) > 15), None)
    return _hevc(unit.replace(b"\x00\x00\x03", b"\x00\x00")[3:15]) if unit else None


def _hevc(level: bytes) -> str | None:
    """Name profile, compatibility, tier, level and constraints (ISO 14496-15, annex E)."""
    if len(level) < 12:
        return None
    space = ("", "A", "B", "C")[level[0] >> 6]
    tier = "H" if level[0] & 0x20 else "L"
    compatible = int(f"{int.from_bytes(level[1:5], 'big'):032b}"[::-1], 2)
    constraints = "".join(f".{byte:X}" for byte in level[5:11].rstrip(b"\x00"))
    return f"hvc1.{space}{level[0] & 0x1F}.{compatible:X}.{tier}{level[11]}{constraints}"


def av1_name(head: bytes) -> str | None:
    """Name AV1 by its av1C box."""
    if len(head) < 4 or head[0] != 0x81:
        return None
    depth = (12 if head[2] & 0x20 else 10) if head[2] & 0x40 else 8
    tier = "H" if head[2] & 0x80 else "M"
    return f"av01.{head[1] >> 5}.{head[1] & 0x1F:02d}{tier}.{depth:02d}"


def aac_name(head: bytes, packet: bytes) -> str | None:
    """Name AAC by its AudioSpecificConfig or by the ADTS header of a packet."""
    if head:
        object_type = head[0] >> 3
        if object_type == 31 and len(head) > 1:
            object_type = 32 + ((head[0] & 7) << 3 | head[1] >> 5)
        return f"mp4a.40.{object_type}"
    if len(packet) > 3 and packet[0] == 0xFF and packet[1] & 0xF0 == 0xF0:
        return f"mp4a.40.{(packet[2] >> 6) + 1}"
    return None


def name_of(codec: str, head: bytes, packet: bytes) -> str | None:
    """Name a stream by its codec's name in FFmpeg, its global header and its first packet."""
    match codec:
        case "h264":
            return avc_name(head) or avc_name(packet)
        case "hevc":
            return hevc_name(head) or hevc_name(packet)
        case "av1":
            return av1_name(head)
        case "aac":
            return aac_name(head, packet)
    return _SIMPLE.get(codec)


def units(stream: bytes) -> Iterator[bytes]:
    """Yield the NAL units of a byte stream, without their start codes."""
    at = stream.find(_START)
    while at >= 0:
        following = stream.find(_START, at + 3)
        unit = stream[at + 3 : following if following >= 0 else None]
        if unit:
            yield unit
        at = following


def length_units(sample: bytes, length_bytes: int) -> Iterator[bytes]:
    """Yield the NAL units of an MP4 sample."""
    at = 0
    while at + length_bytes < len(sample):
        size = int.from_bytes(sample[at : at + length_bytes], "big")
        unit = sample[at + length_bytes : at + length_bytes + size]
        if unit:
            yield unit
        at += length_bytes + size
