"""Names of codecs, from bitstreams that are written down here."""

import av
import pytest

from workers._codec_names import video_name
from workers._nal_units import unguarded, unit_reader


def context_of(codec: str, extradata: bytes = b"") -> av.VideoCodecContext:
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.extradata = extradata
    return context


def test_h264_is_named_after_its_parameter_sets() -> None:
    packet = bytes.fromhex("00000001 09f0 000001 67 64 00 1f acd940 00000001 68 efbccb")

    assert video_name(context_of("h264"), packet) == "avc1.64001f"
    assert video_name(context_of("h264", bytes.fromhex("0142c01effe1")), b"") == "avc1.42c01e"
    with pytest.raises(ValueError, match="no sequence parameter set"):
        video_name(context_of("h264"), b"\x00\x00\x01\x09\xf0")


def test_hevc_is_named_after_its_profile_tier_and_level() -> None:
    general = bytes.fromhex("01 60000000 900000000000 5d")
    guarded = bytes.fromhex("000001 4201 01 01 60000003 00 9000000300000300 5d ffff")

    assert video_name(context_of("hevc", b"\x01" + general), b"") == "hvc1.1.6.L93.90"
    assert video_name(context_of("hevc"), guarded) == "hvc1.1.6.L93.90"
    high_tier = bytes.fromhex("01 22 20000000 b00000000000 99")
    assert video_name(context_of("hevc", high_tier), b"") == "hvc1.2.4.H153.B0"


def test_bytes_that_guard_against_start_codes_are_left_out() -> None:
    assert unguarded(bytes.fromhex("00000300000301")) == bytes.fromhex("0000000001")


def test_a_unit_longer_than_its_packet_is_an_error() -> None:
    reader = unit_reader("h264", bytes.fromhex("01640028ff"))

    assert reader.length_bytes == 4
    with pytest.raises(ValueError, match="longer than its packet"):
        reader.is_idr(bytes.fromhex("000000ff65"))


@pytest.mark.parametrize(
    ("units", "is_idr"), [("65", True), ("0610 65", True), ("41", False), ("65 41", False), ("06", False)]
)
def test_only_pictures_that_refer_to_none_are_entries(units: str, is_idr: bool) -> None:
    packet = b"".join(b"\x00\x00\x01" + bytes.fromhex(unit) + b"\x88" for unit in units.split())

    assert unit_reader("h264", None).is_idr(packet) is is_idr
