"""Names of codecs as playlists tell them (RFC 6381), read from the bitstream."""

from av.video.codeccontext import VideoCodecContext

from workers._nal_units import unguarded, unit_reader

_AAC_OBJECT_TYPES = {"LC": 2, "HE-AAC": 5, "HE-AACv2": 29}
_NOT_SAID = 2
_FULL_RANGE = 2
# What a player takes for granted of AV1 (AV1 in ISOBMFF, section 5): 4:2:0, and the colours of BT.709.
_ORDINARY_COLOURS = (1, 1, 1)


def aac_name(profile: str | None) -> str:
    """Return the name of MPEG-4 AAC with a profile as libavcodec calls it."""
    return f"mp4a.40.{_AAC_OBJECT_TYPES[profile or 'LC']}"


def video_name(context: VideoCodecContext, packet: bytes) -> str:
    """Return the name of a video codec, told by its configuration record or else by a keyframe's `packet`.

    Raises ValueError if neither says what is needed.
    """
    extradata = bytes(context.extradata or b"")
    codec = context.codec.canonical_name
    if codec == "av1":
        return _av1_name(context, extradata)
    has_record = extradata[:1] == b"\x01"
    if codec == "hevc":
        return _hevc_name(extradata[1:13] if has_record else _profile_tier_level(packet))
    return f"avc1.{(extradata[1:4] if has_record else _sequence_parameters(packet, is_hevc=False)[1:4]).hex()}"


def _sequence_parameters(packet: bytes, *, is_hevc: bool) -> bytes:
    found = unit_reader("hevc" if is_hevc else "h264", None).sequence_parameter_set(packet)
    if found is None or len(found) < 4:
        raise ValueError("there is no sequence parameter set")
    return found


def _profile_tier_level(packet: bytes) -> bytes:
    """Return the 12 bytes that H.265 section 7.3.3 begins with; before them are two of header and one of counts."""
    return unguarded(_sequence_parameters(packet, is_hevc=True))[3:15]


def _hevc_name(general: bytes) -> str:
    """Return the name of HEVC with this general profile, tier and level (ISO/IEC 14496-15, annex E)."""
    if len(general) < 12:
        raise ValueError("the sequence parameter set is too short")
    space = ("", "A", "B", "C")[general[0] >> 6]
    tier = "H" if general[0] & 0x20 else "L"
    compatible = int(f"{int.from_bytes(general[1:5], 'big'):032b}"[::-1], 2)
    constraints = [f"{byte:X}" for byte in general[5:11].rstrip(b"\0")]
    return ".".join([f"hvc1.{space}{general[0] & 0x1F}", f"{compatible:X}", f"{tier}{general[11]}", *constraints])


def _av1_name(context: VideoCodecContext, record: bytes) -> str:
    """Return the name of AV1 with this configuration record (AV1 in ISOBMFF, sections 2.3 and 5)."""
    if len(record) < 4:
        raise ValueError("there is no AV1 configuration record")
    tier, is_high, is_twelve, is_grey = (bool(record[2] & bit) for bit in (0x80, 0x40, 0x20, 0x10))
    depth = 8 if not is_high else 12 if is_twelve else 10
    name = f"av01.{record[1] >> 5}.{record[1] & 0x1F:02d}{'H' if tier else 'M'}.{depth:02d}"
    colours = tuple(int(code) for code in (context.color_primaries, context.color_trc, context.colorspace))
    if colours in (_ORDINARY_COLOURS, 3 * (_NOT_SAID,)):
        return name
    chroma = "".join(str(bit) for bit in (record[2] >> 3 & 1, record[2] >> 2 & 1, record[2] & 3))
    said = ".".join(f"{code:02d}" for code in colours)
    return f"{name}.{int(is_grey)}.{chroma}.{said}.{int(context.color_range == _FULL_RANGE)}"
