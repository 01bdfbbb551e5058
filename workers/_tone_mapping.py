"""Bringing HDR and wide colours into the range that every screen shows (BT.709), as filters of ffmpeg."""

from typing import Any

from workers._probe import Colour

_BT2020, _BT2020_TRANSFER = 9, 14
_NOT_SAID = 2
# What light the linear 1.0 stands for, in cd/m2: the reference white of ffmpeg's tonemap filter.
_REFERENCE_WHITE = 100
_OUTDATED = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")


def to_sdr(stream: Any, colour: Colour) -> Any:
    """Return a picture stream with these colours as BT.709 of limited range, its metadata saying so."""
    for name, options in _filters(colour):
        stream = stream.filter(name, **options)
    return stream


def sdr_filters(colour: Colour) -> list[str]:
    """Return the same filters in ffmpeg's own syntax."""
    return [
        f"{name}={':'.join(f'{key}={value}' for key, value in options.items())}" for name, options in _filters(colour)
    ]


def _filters(colour: Colour) -> list[tuple[str, dict[str, Any]]]:
    """Return the filters, each with its options.

    Highlights are rolled off by the Moebius curve, which leaves skin and diffuse white (203 cd/m2, ITU-R BT.2408) about
    as bright as they are; Hable's, more usual, makes that white a grey of two thirds. What the file does not say about
    its colours is taken for BT.2020.
    """
    said = {
        "color_primaries": _said(colour.primaries, _BT2020),
        "color_trc": _said(colour.transfer, _BT2020_TRANSFER),
        "colorspace": _said(colour.matrix, _BT2020),
    }
    target = {"t": "bt709", "m": "bt709", "r": "limited"}
    if not colour.is_hdr:
        return [("setparams", said), ("zscale", {"p": "bt709", **target})]
    return [
        ("setparams", said),
        ("zscale", {"t": "linear", "npl": _REFERENCE_WHITE}),
        ("format", {"pix_fmts": "gbrpf32le"}),
        ("zscale", {"p": "bt709"}),
        ("tonemap", {"tonemap": "mobius", "desat": 0}),
        ("zscale", target),
        *(("sidedata", {"mode": "delete", "type": kind}) for kind in _OUTDATED),
    ]


def _said(code: int, otherwise: int) -> int:
    return otherwise if code == _NOT_SAID else code
