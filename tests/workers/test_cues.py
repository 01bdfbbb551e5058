"""Subtitle texts: from what decoders give to what WebVTT allows."""

import pytest

from workers._cues import Cue, webvtt, webvtt_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a & b < c --> d", "a &amp; b &lt; c --&gt; d"),
        (r"one\Ntwo\nthree", "one\ntwo\nthree"),
        (r"one\N\N \Ntwo\N", "one\ntwo"),
        (r"{\i1}a{\i0} b", "<i>a</i> b"),
        (r"{\i1}a{\b1}b{\i0}c", "<i>a</i><b><i>b</i></b><b>c</b>"),
        (r"{\b700}a{\b400}b{\u1}c{\r}d", "<b>a</b>b<u>c</u>d"),
        (r"{\i1}never closed", "<i>never closed</i>"),
        (r"{\c&HFF&\fs20}a{\c}", "a"),
        (r"a{\p1}m 0 0 l 1 1{\p0}b", "ab"),
        (r"{\i1}{\p1}m 0 0 l 1 1{\p0}{\i0}", ""),
        (r"\{{}kept\}", "{kept}"),
        ("a\x00\x07b\rc\td", "abcd"),
        (r"a\hb", "a\u00a0b"),
        (" \u200f ", "\u200f"),
        ("   ", ""),
        ("", ""),
        ("{unclosed", "{unclosed"),
    ],
)
def test_a_text_keeps_its_letters_and_simple_styles(text: str, shown: str) -> None:
    assert webvtt_text(text, is_styled=True) == (shown, False)


def test_braces_are_comments_in_styled_tracks_only() -> None:
    assert webvtt_text("a {b} c", is_styled=True)[0] == "a  c"
    assert webvtt_text("a {b} c", is_styled=False)[0] == "a {b} c"


@pytest.mark.parametrize(("command", "is_on_top"), [("an8", True), ("a6", True), ("an2", False), ("an5", False)])
def test_what_is_shown_on_top_stays_there(command: str, is_on_top: bool) -> None:
    assert webvtt_text(rf"{{\{command}}}a", is_styled=True) == ("a", is_on_top)


def test_hours_and_settings_are_written_as_players_read_them() -> None:
    cues = [Cue(0, 1.0004, "a"), Cue(3599.9996, 360_001.5, "b\nc", is_on_top=True)]

    assert webvtt(cues, "WEBVTT\n") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na\n\n01:00:00.000 --> 100:00:01.500 line:0\nb\nc\n\n"
    )
