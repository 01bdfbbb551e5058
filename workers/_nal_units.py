"""NAL units of H.264 and HEVC (ITU-T H.264 and H.265, annex B and ISO/IEC 14496-15): what a packet is made of."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_START_CODE = b"\x00\x00\x01"
# Both standards put a 3 between two zeros and a byte below 4, so that no start code appears inside a unit.
_GUARD = re.compile(b"\x00\x00\x03")
_AVC_IDR = frozenset({5})
_AVC_SLICES = frozenset(range(1, 6))
_AVC_PARAMETERS = frozenset({7, 8})
# IDR_W_RADL and IDR_N_LP. A CRA or BLA picture may be followed by some that need what was before it.
_HEVC_IDR = frozenset({19, 20})
_HEVC_SLICES = frozenset(range(32))
_HEVC_PARAMETERS = frozenset({32, 33, 34})
_AVC_SPS, _HEVC_SPS = 7, 33


@dataclass(frozen=True, slots=True)
class Unit:
    """One NAL unit without its start code."""

    kind: int
    content: bytes


@dataclass(frozen=True, slots=True)
class UnitReader:
    """Splits the packets of one stream; `length_bytes` precede each unit, 0 where start codes do."""

    is_hevc: bool
    length_bytes: int

    def units(self, packet: bytes) -> Iterator[Unit]:
        """Yield the units of a packet. Raises ValueError where lengths do not add up."""
        for content in self._by_length(packet) if self.length_bytes else _by_start_code(packet):
            if content:
                yield Unit((content[0] >> 1) & 0x3F if self.is_hevc else content[0] & 0x1F, content)

    def _by_length(self, packet: bytes) -> Iterator[bytes]:
        place = 0
        while place < len(packet):
            begin = place + self.length_bytes
            place = begin + int.from_bytes(packet[place:begin], "big")
            if place > len(packet):
                raise ValueError("a unit is longer than its packet")
            yield packet[begin:place]

    def is_idr(self, packet: bytes) -> bool:
        """Whether all slices of a packet belong to a picture that refers to none, and that none after it passes."""
        slices, idr = (_HEVC_SLICES, _HEVC_IDR) if self.is_hevc else (_AVC_SLICES, _AVC_IDR)
        kinds = {unit.kind for unit in self.units(packet)} & slices
        return bool(kinds) and kinds <= idr

    def parameter_sets(self, packet: bytes) -> frozenset[bytes]:
        """Return the parameter sets in a packet; an empty set if it does not hold one of each kind."""
        wanted = _HEVC_PARAMETERS if self.is_hevc else _AVC_PARAMETERS
        found = [unit for unit in self.units(packet) if unit.kind in wanted]
        return frozenset(unit.content for unit in found) if {unit.kind for unit in found} == wanted else frozenset()

    def sequence_parameter_set(self, packet: bytes) -> bytes | None:
        """Return the first sequence parameter set (SPS) in a packet, if there is one."""
        wanted = _HEVC_SPS if self.is_hevc else _AVC_SPS
        return next((unit.content for unit in self.units(packet) if unit.kind == wanted), None)


def _by_start_code(packet: bytes) -> Iterator[bytes]:
    begin = packet.find(_START_CODE)
    while begin >= 0:
        begin += len(_START_CODE)
        end = packet.find(_START_CODE, begin)
        yield packet[begin : end if end >= 0 else len(packet)].rstrip(b"\0")
        begin = end


def unit_reader(codec: str, extradata: bytes | None) -> UnitReader:
    """Return the reader for a stream of this codec; `extradata` is what its container says about it."""
    is_hevc = codec == "hevc"
    # An AVCDecoderConfigurationRecord or HEVCDecoderConfigurationRecord begins with its version, 1.
    if not extradata or extradata[0] != 1:
        return UnitReader(is_hevc, 0)
    place = 21 if is_hevc else 4
    return UnitReader(is_hevc, (extradata[place] & 3) + 1 if len(extradata) > place else 4)


def unguarded(unit: bytes) -> bytes:
    """Return the payload of a unit without the bytes that guard it against start codes."""
    return _GUARD.sub(b"\x00\x00", unit)
