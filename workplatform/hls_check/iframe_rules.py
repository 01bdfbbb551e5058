"""Judging I-frame playlists: each byte range is one keyframe, and they cover the video."""

from itertools import pairwise

from workplatform.hls_check.findings import Findings
from workplatform.hls_check.streams import Stream, step_s

_NOTABLE_S = 0.1


def judge_iframes(stream: Stream, findings: Findings) -> None:
    """Judge the pictures of an I-frame playlist."""
    for piece, facts in stream.read:
        place, uri = stream.place(piece), f"{piece.segment.uri} {_range(piece.segment.range)}"
        for rule, told in facts.problems:
            findings.add(rule, place, f"{uri}: {told}")
        video = facts.video
        if video is None:
            if facts.tracks:
                findings.add("iframe-no-keyframe", place, f"{uri} holds no picture")
        elif video.start != "keyframe":
            findings.add("iframe-no-keyframe", place, f"{uri} does not begin with a keyframe")
        elif video.count > 1:
            findings.add("iframe-more", place, f"{uri} holds {video.count} pictures")
    for (piece, facts), (following, later) in pairwise(stream.read):
        if facts.video is None or later.video is None or following.segment.starts_anew:
            continue
        real_s = step_s(facts.video, later.video, facts)
        if abs(real_s - piece.segment.duration_s) > _NOTABLE_S:
            told = f"the next keyframe comes after {real_s:.3f} s, #EXTINF says {piece.segment.duration_s:.3f} s"
            findings.add("iframe-extinf", stream.place(piece), told)


def _range(part: tuple[int, int] | None) -> str:
    return f"{part[0]}@{part[1]}" if part else ""
