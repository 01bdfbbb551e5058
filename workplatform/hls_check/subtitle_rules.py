"""Judging subtitles: the form of WebVTT, and that cues lie in the segments that list them."""

from itertools import accumulate

from workplatform.hls_check.findings import Findings
from workplatform.hls_check.streams import Stream
from workplatform.hls_check.webvtt import Text, read_text

_BEARABLE_S = 0.5


def judge_subtitles(stream: Stream, findings: Findings, *, begins_s: float | None) -> None:
    """Judge WebVTT segments; `begins_s` is when the video begins on its own clock, None if that is unknown."""
    ends = list(accumulate(piece.segment.duration_s for piece in stream.pieces))
    for piece, end_s in zip(stream.pieces, ends, strict=True):
        facts = piece.facts
        if facts is None:
            continue
        place, uri = stream.place(piece), piece.segment.uri
        for rule, told in facts.problems:
            findings.add(rule, place, f"{uri}: {told}")
        if facts.text is None:
            continue
        text = read_text(facts.text)
        for told in text.problems:
            findings.add("webvtt", place, f"{uri}: {told}")
        if not text.has_map:
            findings.add("timestamp-map-missing", place, f"{uri} has no X-TIMESTAMP-MAP")
        if begins_s is not None:
            window = (begins_s + end_s - piece.segment.duration_s, begins_s + end_s)
            for told in _outside(text, window):
                findings.add("cue-outside", place, f"{uri}: {told}")


def _outside(text: Text, window: tuple[float, float]) -> list[str]:
    """Tell of cues that are not shown in the time of their segment."""
    start_s, end_s = window[0] - text.offset_s, window[1] - text.offset_s
    return [
        f"the cue from {cue[0]:.3f} to {cue[1]:.3f} s is not within {max(start_s, 0):.3f} to {max(end_s, 0):.3f} s"
        for cue in text.cues
        if cue[0] > end_s + _BEARABLE_S or cue[1] < start_s - _BEARABLE_S
    ]
