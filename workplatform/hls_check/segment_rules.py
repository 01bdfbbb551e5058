"""Judging segments by what they hold: lengths, keyframes, and that each goes on where the one before ended."""

from collections.abc import Sequence
from itertools import pairwise

from workplatform.hls_check.facts import Facts, Track
from workplatform.hls_check.findings import Findings
from workplatform.hls_check.streams import Piece, Stream, apart, step_s

# Players bear less than half a second; from a tenth on it is a sign of wrong arithmetic.
_WRONG_S, _NOTABLE_S = 0.5, 0.1
# Without a picture for longer, some players stop.
_STANDING_S = 1.0


def judge_segments(stream: Stream, findings: Findings, *, is_independent: bool) -> None:
    """Judge the segments of a playlist that is not one of I-frames."""
    for piece, facts in stream.read:
        for rule, told in facts.problems:
            findings.add(rule, stream.place(piece), f"{piece.segment.uri}: {told}")
        _start(stream, piece, facts, findings, is_independent=is_independent)
        _standing(stream, piece, facts, findings)
        is_empty = facts.tracks and len(facts.tracks) < len(facts.declared)
        if is_empty and piece.segment.duration_s > _WRONG_S:
            told = f"{piece.segment.uri} declares {_listed(facts.declared)}, and one of them has no samples"
            findings.add("track-empty", stream.place(piece), told)
    _lengths(stream, findings)
    for (before, earlier), (piece, facts) in pairwise(stream.read):
        if piece.segment.sequence == before.segment.sequence + 1:
            _seam(stream, (earlier, piece, facts), findings)
    _whole_length(stream, findings)


def _start(stream: Stream, piece: Piece, facts: Facts, findings: Findings, *, is_independent: bool) -> None:
    video = facts.video
    if video is None or video.start == "keyframe":
        return
    rule = "segment-without-keyframe" if is_independent else "segment-start"
    what = "a picture that needs earlier ones" if video.start == "picture" else "a keyframe that is no IDR picture"
    findings.add(rule, stream.place(piece), f"{piece.segment.uri} begins with {what}")


def _standing(stream: Stream, piece: Piece, facts: Facts, findings: Findings) -> None:
    video = facts.video
    if video is None:
        return
    lasting_s = max(piece.segment.duration_s, _span_s(video, facts))
    last_s = float((video.end - video.frame_ticks - video.first) * video.tick)
    standing_s = max(float(video.longest_step * video.tick), lasting_s - last_s)
    if standing_s > _STANDING_S + _NOTABLE_S:
        told = f"{piece.segment.uri} has no picture for {standing_s:.1f} s"
        findings.add("picture-stands", stream.place(piece), told)


def _lengths(stream: Stream, findings: Findings) -> None:
    """Judge EXTINF by where the next segment begins; the last one by the end of what it holds."""
    for number, (piece, facts) in enumerate(stream.read):
        main = facts.main
        if main is None:
            continue
        real_s = _until_next(stream, number, main, facts)
        # How long a last picture is shown is not in the file.
        bearable_s = float(main.frame_ticks * main.tick) if real_s is None else 0.0
        real_s = _span_s(main, facts) if real_s is None else real_s
        off_s = abs(real_s - piece.segment.duration_s) - bearable_s
        told = f"{piece.segment.uri} is {real_s:.3f} s long, #EXTINF says {piece.segment.duration_s:.3f} s"
        if off_s > _WRONG_S:
            findings.add("extinf-wrong", stream.place(piece), told)
        elif off_s > _NOTABLE_S:
            findings.add("extinf-inexact", stream.place(piece), told)


def _until_next(stream: Stream, number: int, main: Track, facts: Facts) -> float | None:
    """Return how long it is until the next segment begins; None at the end, and where clocks jump.

    Where the rate varies, the last picture may be shown for long: then the playlist has to know of it.
    """
    piece = stream.read[number][0]
    if number + 1 == len(stream.read):
        return None
    following, next_facts = stream.read[number + 1]
    other = next_facts.main
    if other is None or (other.kind, other.tick) != (main.kind, main.tick) or following.segment.starts_anew:
        return None
    if following.segment.sequence != piece.segment.sequence + 1:
        return None
    real_s = step_s(main, other, facts)
    is_told = abs(real_s - piece.segment.duration_s) < _NOTABLE_S
    is_near = abs(real_s - main.duration_s) < max(_WRONG_S, 2 * float(main.frame_ticks * main.tick))
    return real_s if is_told or is_near else None


def _span_s(main: Track, facts: Facts) -> float:
    """Return how long a segment is by itself: a picture may be shown until its sound ends.

    Sound from before the picture belongs to the time of the segment before.
    """
    return float(max(track.end * track.tick for track in facts.tracks) - main.first * main.tick)


def _seam(stream: Stream, seam: tuple[Facts, Piece, Facts], findings: Findings) -> None:
    earlier, piece, facts = seam
    if piece.segment.starts_anew:
        return
    if earlier.declared != facts.declared and earlier.declared and facts.declared:
        told = f"{piece.segment.uri} has {_listed(facts.declared)}, the segment before it {_listed(earlier.declared)}"
        findings.add("tracks-change", stream.place(piece), told)
    for before, after in ((earlier.video, facts.video), (earlier.audio, facts.audio)):
        if before is not None and after is not None:
            _track_seam(stream, (before, after, facts), piece, findings)


def _track_seam(stream: Stream, tracks: tuple[Track, Track, Facts], piece: Piece, findings: Findings) -> None:
    before, after, facts = tracks
    if before.tick != after.tick:
        findings.add("tracks-change", stream.place(piece), f"{piece.segment.uri} has another clock")
        return
    if _differ(before, after):
        told = f"{piece.segment.uri} has {_described(after)}, the segment before it {_described(before)}"
        findings.add("tracks-change", stream.place(piece), told)
    gap = apart(before.end, after.first, facts)
    gap_s, frame_s = float(gap * before.tick), float(before.frame_ticks * before.tick)
    what = f"{piece.segment.uri}: its {after.kind} begins {abs(gap_s):.3f} s"
    if apart(before.last_decoded, after.first_decoded, facts) <= 0 or gap_s < -max(_WRONG_S, frame_s):
        findings.add("timestamps-overlap", stream.place(piece), f"{what} before that of the last segment ends")
    elif gap_s > _WRONG_S + frame_s and not _is_told(stream, piece, before, facts, after):
        findings.add("timestamps-gap", stream.place(piece), f"{what} after that of the last segment ends")
    elif before.is_steady and after.is_steady and abs(gap_s) > 0.5 * frame_s + float(2 * before.tick):
        findings.add(
            "timestamps-uneven", stream.place(piece), f"{what} {'after' if gap > 0 else 'before'} the last ends"
        )


def _differ(before: Track, after: Track) -> bool:
    """Whether two tracks are coded otherwise, as far as both tell: parameters may stand before keyframes only."""
    pairs = ((before.codec, after.codec), (before.size, after.size), (before.channels, after.channels))
    return before.format != after.format or any(one != other and one and other for one, other in pairs)


def _is_told(stream: Stream, piece: Piece, before: Track, facts: Facts, after: Track) -> bool:
    """Whether the playlist itself says so: pictures may be shown for seconds where the rate varies."""
    said_s = stream.pieces[piece.segment.sequence - stream.pieces[0].segment.sequence - 1].segment.duration_s
    return before.is_video and not before.is_steady and abs(step_s(before, after, facts) - said_s) < _NOTABLE_S


def _listed(kinds: Sequence[str]) -> str:
    return " and ".join(kinds)


def _described(track: Track) -> str:
    size = f" {track.size[0]}x{track.size[1]}" if track.size else ""
    return f"{track.codec or track.format}{size}"


def _whole_length(stream: Stream, findings: Findings) -> None:
    """Judge the sum: small errors of one sign add up, and players seek beside the mark."""
    if len(stream.read) < 2 or any(piece.segment.starts_anew for piece in stream.pieces):
        return
    first, last = stream.read[0][1].main, stream.read[-1][1].main
    if first is None or last is None or len(stream.read) != len(stream.pieces):
        return
    real_s = step_s(first, last, stream.read[0][1]) + _span_s(last, stream.read[-1][1])
    said_s = stream.playlist.duration_s
    if abs(real_s - said_s) > _WRONG_S + float(last.frame_ticks * last.tick):
        told = f"all segments together are {real_s:.3f} s long, the playlist says {said_s:.3f} s"
        findings.add("duration-drift", stream.playlist.place(), told)
