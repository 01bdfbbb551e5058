"""Judging that players can change between renditions at any segment (RFC 8216bis, section 6.2.4)."""

from collections.abc import Iterable, Mapping
from itertools import accumulate

from workplatform.hls_check.findings import Findings
from workplatform.hls_check.master import MasterPlaylist
from workplatform.hls_check.streams import Stream, step_s

_WRONG_S, _NOTABLE_S = 0.5, 0.1
# Sound goes on a little after the picture, or ends before it.
_SOUND_S = 1.0


def judge_alignment(master: MasterPlaylist, streams: Mapping[str, Stream], findings: Findings) -> None:
    """Compare every playlist with that of the first variant."""
    pictures = _distinct(streams, [variant.uri for variant in master.variants])
    if not pictures:
        return
    lead = pictures[0]
    for stream in pictures[1:]:
        is_like = lead.facts is None or stream.facts is None or bool(lead.facts.video) == bool(stream.facts.video)
        _lengths(lead, stream, _WRONG_S if is_like else _SOUND_S, findings)
        if is_like:
            _cuts(lead, stream, findings)
        _clocks(lead, stream, findings)
        _targets(lead, stream, findings)
    sounds = [one.uri for one in master.renditions if one.type in ("AUDIO", "VIDEO") and one.uri]
    for stream in _distinct(streams, sounds):
        if stream not in pictures:
            _lengths(lead, stream, _SOUND_S, findings)
            _clocks(lead, stream, findings)
            _targets(lead, stream, findings)
    for stream in _distinct(streams, [one.uri for one in master.iframes]):
        _lengths(lead, stream, _SOUND_S, findings)


def _distinct(streams: Mapping[str, Stream], uris: Iterable[str]) -> list[Stream]:
    found: list[Stream] = []
    for uri in uris:
        stream = streams.get(uri)
        if stream is not None and stream.pieces and stream not in found:
            found.append(stream)
    return found


def _lengths(lead: Stream, stream: Stream, bearable_s: float, findings: Findings) -> None:
    one, other = lead.playlist.duration_s, stream.playlist.duration_s
    if abs(one - other) > bearable_s:
        told = f"it is {other:.3f} s long, {lead.playlist.file} {one:.3f} s"
        findings.add("durations-differ", stream.playlist.place(), told)


def _cuts(lead: Stream, stream: Stream, findings: Findings) -> None:
    """Compare where segments end; the last ones' ends are the streams' own."""
    ends = [list(accumulate(piece.segment.duration_s for piece in one.pieces))[:-1] for one in (lead, stream)]
    breaks = [[piece.segment.starts_anew for piece in one.pieces] for one in (lead, stream)]
    if len(ends[0]) != len(ends[1]):
        told = f"it has {len(stream.pieces)} segments, {lead.playlist.file} has {len(lead.pieces)}"
        findings.add("segments-unaligned", stream.playlist.place(), told)
        return
    for piece, one, other in zip(stream.pieces, *ends, strict=False):
        if abs(one - other) > _NOTABLE_S:
            told = f"{piece.segment.uri} ends at {other:.3f} s, the same segment of {lead.playlist.file} at {one:.3f} s"
            findings.add("segments-unaligned", stream.place(piece), told)
            break
    if breaks[0] != breaks[1]:
        told = f"its discontinuities are not at the segments of those of {lead.playlist.file}"
        findings.add("discontinuities-differ", stream.playlist.place(), told)


def _clocks(lead: Stream, stream: Stream, findings: Findings) -> None:
    """Compare the clocks of media: a player that changes over shows a jump where they differ."""
    first, other = lead.facts, stream.facts
    if first is None or other is None or first.main is None or other.main is None:
        return
    if first.main.tick == other.main.tick:
        off_s = step_s(first.main, other.main, first)
    else:
        off_s = other.main.first_s - first.main.first_s
    if abs(off_s) > _WRONG_S:
        told = (
            f"its first segment begins {abs(off_s):.3f} s {'after' if off_s > 0 else 'before'} {lead.playlist.file}'s"
        )
        findings.add("timestamps-differ", stream.playlist.place(), told)


def _targets(lead: Stream, stream: Stream, findings: Findings) -> None:
    one, other = lead.playlist.target_s, stream.playlist.target_s
    if one is not None and other is not None and one != other:
        told = f"its target duration is {other} s, that of {lead.playlist.file} {one} s"
        findings.add("targetdurations-differ", stream.playlist.place(), told)
