"""Subtitles of HLS streams: read by a parser that knows nothing of their writer."""

from pathlib import Path

import pytest

from tests.workers import _samples_tracks as tracks
from tests.workers import _samples_video as samples
from tests.workers._hls_tracks import LOW, Made, cues_of, durations, make
from tests.workers._streams import read_master, read_media
from tests.workers._webvtt import Shown


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tracks.three_languages(tmp_path_factory.mktemp("film") / "film.mkv")


@pytest.fixture(scope="module")
def made(film: Path) -> Made:
    return make(film, subtitles=True, qualities=({"name": "high", "height": 90}, LOW))


def test_subtitles_are_cut_as_the_picture_is_and_what_spans_a_cut_is_on_both_sides(made: Made) -> None:
    over_the_cut = Shown(5.0, 7.25, "over the cut\nin two lines")

    assert cues_of(made.folder / "subtitles-1-en") == [
        [Shown(1.0, 3.5, "Hello you & me a --> b", ("i:you", "b:me"), "line:0"), over_the_cut],
        [over_the_cut],
        [Shown(12.0, 12.9, "1 < 2 {no tag}")],
    ]
    texts, pictures = (made.folder / name / "playlist.m3u8" for name in ("subtitles-1-en", "high"))
    assert durations(texts) == durations(pictures) == [6.0, 6.0, 1.0]


def test_styled_texts_keep_their_styles_and_lose_drawings_and_comments(made: Made) -> None:
    assert cues_of(made.folder / "subtitles-2-de") == [
        [Shown(2.0, 4.0, "schräg, fett\nneu", ("i:schr", "i:äg", "b:äg", "b:, fett"))],
        [Shown(6.5, 8.0, "Text")],
        [],
    ]


def test_webvtt_stays_what_it_says(made: Made) -> None:
    assert cues_of(made.folder / "subtitles-3-fr") == [
        [Shown(3.0, 4.0, "Voici le <texte> & rouge", ("i:le",)), Shown(5.5, 6.5, "Deux")],
        [Shown(5.5, 6.5, "Deux")],
        [],
    ]


def test_webvtt_stays_on_top_and_keeps_letters_told_by_number(tmp_path: Path) -> None:
    top = "00:01.000 --> 00:02.000 position:20% line:0\nIt&#39;s &#x2191; &amp; &lt;up&gt;\n"
    upper = "00:03.000 --> 00:04.000 line:10%,start\nupper\n"
    lower = "00:05.000 --> 00:06.000 line:84%\nlower\n"
    last = "00:07.000 --> 00:08.000 line:-1\nlast\n"
    (tmp_path / "texts.vtt").write_text("\n".join(("WEBVTT\n", top, upper, lower, last)))
    video = (*samples.picture("160x90", 10, 8), "-i", tmp_path / "texts.vtt", "-c:s", "copy")
    samples.ffmpeg(*video, tmp_path / "film.mkv")

    shown = cues_of(make(tmp_path / "film.mkv", subtitles=True).folder / "subtitles-1")

    told = {cue.text: cue.settings for cues in shown for cue in cues}
    assert told == {"It's \u2191 & <up>": "line:0", "upper": "line:0", "lower": "", "last": ""}


def test_the_master_offers_subtitles_with_every_variant(made: Made) -> None:
    offered = read_media(made.folder / "master.m3u8", "SUBTITLES")

    assert [one.get("FORCED") for one in offered] == [None, "YES", None]
    assert {one["GROUP-ID"] for one in offered} == {"subtitles"}
    assert {one["SUBTITLES"] for one in read_master(made.folder / "master.m3u8").values()} == {"subtitles"}


def test_the_texts_of_an_mp4_are_the_same(film: Path, made: Made, tmp_path: Path) -> None:
    other = make(tracks.as_mp4(film, tmp_path / "film.mp4"), subtitles=True)

    assert cues_of(other.folder / "subtitles-1-en")[1:] == cues_of(made.folder / "subtitles-1-en")[1:]
    assert other.result["subtitles"][0]["isDefault"] is True, "MP4 files switch on the first of a kind"


def test_of_texts_of_an_mp4_that_begin_together_each_is_shown(tmp_path: Path) -> None:
    texts = "00:00:01,000 --> 00:00:03,000\none\n", "00:00:01,000 --> 00:00:04,000\nother\n"
    later = "00:00:05,000 --> 00:00:07,000\nlater\n"
    (tmp_path / "texts.srt").write_text(
        "\n".join(f"{number}\n{text}" for number, text in enumerate((*texts, later), 1))
    )
    video = (*samples.picture("160x90", 10, 8), "-i", tmp_path / "texts.srt", "-c:s", "mov_text")
    samples.ffmpeg(*video, tmp_path / "film.mp4")

    shown = cues_of(make(tmp_path / "film.mp4", subtitles=True).folder / "subtitles-1")

    assert sorted((cue.text, cue.start_s, cue.end_s) for cue in shown[0]) == [
        ("later", 5.0, 7.0),
        ("one", 1.0, 5.0),
        ("other", 1.0, 4.0),
    ]


def test_subtitles_of_a_clock_that_does_not_start_at_zero_are_on_time(film: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.mkv"
    samples.ffmpeg("-i", film, "-map", "0:v", "-map", "0:s:0", "-c", "copy", "-output_ts_offset", 100, late)

    shown = cues_of(make(late, subtitles=True).folder / "subtitles-1-en")

    assert [(cue.start_s, cue.text[:5]) for cue in shown[0]] == [(1.0, "Hello"), (5.0, "over ")]


def test_drawn_subtitles_are_left_out_and_said_so(tmp_path: Path) -> None:
    drawn = make(tracks.with_drawn_subtitles(tmp_path / "film.mkv"), subtitles=True)

    assert drawn.result["subtitles"] == []
    assert "SUBTITLES" not in (drawn.folder / "master.m3u8").read_text()
    assert any("subtitles in ja left out" in line for line in drawn.log)


def test_texts_that_no_picture_goes_with_are_left_out(film: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.mkv"
    picture = ("-itsoffset", 4, "-t", 9, "-i", film)
    samples.ffmpeg(*picture, "-i", film, "-map", "0:v", "-map", "1:s:0", "-c", "copy", short)

    shown = cues_of(make(short, subtitles=True).folder / "subtitles-1-en")

    assert [[cue.text[:5] for cue in cues] for cues in shown] == [["over "]]
