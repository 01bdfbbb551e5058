"""Judging BANDWIDTH and AVERAGE-BANDWIDTH by the sizes of segments (RFC 8216bis, section 4.4.6.2)."""

from collections.abc import Mapping

from workplatform.hls_check.findings import Findings, Place
from workplatform.hls_check.master import MasterPlaylist, Variant
from workplatform.hls_check.streams import Stream

# Rounding, and what fits in an EXTINF's last digit.
_ROUNDING = 0.005
# Apple's authoring rules for video on demand.
_TOLERANCE = 0.10


def judge_bandwidths(master: MasterPlaylist, streams: Mapping[str, Stream], findings: Findings) -> None:
    """Judge each variant with the costliest rendition of each of its groups."""
    for variant in (*master.variants, *master.iframes):
        own = streams.get(variant.uri)
        if own is None or not own.is_measured:
            continue
        others = [
            costs
            for type_ in ("AUDIO", "VIDEO")
            if not _is_of_group(master, variant, type_) and (costs := _costliest(master, variant, type_, own, streams))
        ]
        peak = own.peak_bps + sum(cost[0] for cost in others)
        average = own.average_bps + sum(cost[1] for cost in others)
        highest = own.highest_bps + sum(cost[2] for cost in others)
        place = master.place(variant.line)
        _judge("BANDWIDTH", variant.attributes.integer("BANDWIDTH"), (peak, highest), place, findings)
        said = variant.attributes.integer("AVERAGE-BANDWIDTH")
        _judge("AVERAGE-BANDWIDTH", said, (average, average), place, findings)


def _is_of_group(master: MasterPlaylist, variant: Variant, type_: str) -> bool:
    """Whether the variant is one of the renditions of its group, as sound alone is: no other is played with it."""
    return any(one.uri == variant.uri for one in master.group(type_, variant.attributes.text(type_)))


def _costliest(
    master: MasterPlaylist, variant: Variant, type_: str, own: Stream, streams: Mapping[str, Stream]
) -> tuple[float, float, float] | None:
    """Return peak, average and highest rate of a group's most demanding rendition that is not the variant's own."""
    costs = [
        (stream.peak_bps, stream.average_bps, stream.highest_bps)
        for rendition in master.group(type_, variant.attributes.text(type_))
        if (stream := streams.get(rendition.uri or "")) and stream is not own and stream.is_measured
    ]
    return (max(one[0] for one in costs), max(one[1] for one in costs), max(one[2] for one in costs)) if costs else None


def _judge(name: str, said: int | None, real: tuple[float, float], place: Place, findings: Findings) -> None:
    if said is None:
        return
    told = f"{name} says {said}, measured are {real[0]:.0f} bits per second"
    rule = "bandwidth" if name == "BANDWIDTH" else "average-bandwidth"
    if said < real[0] * (1 - (_ROUNDING if rule == "bandwidth" else _TOLERANCE)):
        findings.add(f"{rule}-too-low", place, told)
    elif said > max(real) * (1 + _TOLERANCE) + 1000:
        findings.add(f"{rule}-too-high", place, told)
