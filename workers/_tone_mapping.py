"""Bringing HDR and wide colours into the range that every screen shows (BT.709), as filters of ffmpeg."""

from typing import Any

from workers._probe import Colour

_BT2020, _BT2020_TRANSFER = 9, 14
_NOT_SAID = 2
# What light the linear 1.0 stands for, in cd/m2: the reference white of ffmpeg's tonemap filter.
_REFERENCE_WHITE = 100
_OUTDATED = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")


def to_sdr(stream: Any, colour: Colour) -> Any:
    """Return a picture stream with these colours as BT.709 of limited range, its metadata saying so.

    Highlights are rolled off by the Moebius curve, which leaves skin and diffuse white (203 cd/m2, ITU-R BT.2408) about
    as bright as they are; Hable's, more usual, makes that white a grey of two thirds. What the file does not say about
    its colours is taken for BT.2020.
    """
    stream = stream.filter(
        "setparams",
        color_primaries=_said(colour.primaries, _BT2020),
        color_trc=_said(colour.transfer, _BT2020_TRANSFER),
        colorspace=_said(colour.matrix, _BT2020),
    )
    target = {"t": "bt709", "m": "bt709", "r": "limited"}
    if not colour.is_hdr:
        return stream.filter("zscale", p="bt709", **target)
    stream = stream.filter("zscale", t="linear", npl=_REFERENCE_WHITE).filter("format", "gbrpf32le")
    stream = stream.filter("zscale", p="bt709").filter("tonemap", "mobius", desat=0).filter("zscale", **target)
    for kind in _OUTDATED:
        stream = stream.filter("sidedata", mode="delete", type=kind)
    return stream


def _said(code: int, otherwise: int) -> int:
    return otherwise if code == _NOT_SAID else code
