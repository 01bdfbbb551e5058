"""Sounds and subtitles of their own: read back as a player reads them."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import av
import pytest

from tests.workers import _samples_tracks as tracks
from tests.workers import _samples_video as samples
from tests.workers._hls_tracks import LOW, Made, cues_of, durations, first_pts_s, heard, make
from tests.workers._samples_tracks import TONES
from tests.workers._streams import read_master, read_media
from workers._hls_models import HlsPayload
from workplatform.errors import BadInputError

ALL: dict[str, Any] = {"audioTracks": "all", "audioOnly": True, "subtitles": True}
QUALITIES = ({"name": "high", "height": 90, "audioBitrate": "96k"}, LOW)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tracks.three_languages(tmp_path_factory.mktemp("film") / "film.mkv")


@pytest.fixture(scope="module")
def made(film: Path) -> Made:
    return make(film, qualities=QUALITIES, **ALL)


def test_each_language_is_a_rendition_for_every_bitrate_and_has_its_own_sound(made: Made) -> None:
    offered = read_media(made.folder / "master.m3u8", "AUDIO")

    assert [(one["GROUP-ID"], one["NAME"], one["LANGUAGE"], one["DEFAULT"]) for one in offered] == [
        (group, name, tag, "YES" if tag == "en" else "NO")
        for group in ("audio-48000", "audio-96000")
        for name, tag in (("English", "en"), ("German", "de"), ("French", "fr"))
    ]
    assert {(one["AUTOSELECT"], one["CHANNELS"]) for one in offered} == {("YES", "2")}
    for one in offered:
        pitch, _ = heard(made.folder / one["URI"])
        assert pitch == pytest.approx(TONES[one["LANGUAGE"]], rel=0.02)


def test_sounds_follow_the_clock_of_the_picture_and_last_as_long(made: Made) -> None:
    assert first_pts_s(made.folder / "high") == pytest.approx(10, abs=0.001)
    for one in read_media(made.folder / "master.m3u8", "AUDIO"):
        playlist = made.folder / one["URI"]
        assert first_pts_s(playlist.parent) == pytest.approx(10, abs=0.03), "an encoder's first samples come early"
        assert heard(playlist)[1] == pytest.approx(13, abs=0.05), "silence follows a sound that ends early"
        assert sum(durations(playlist)) == pytest.approx(13, abs=0.05)


def test_the_picture_lasts_as_long_as_the_longest_sound(tmp_path: Path) -> None:
    source = samples.with_sound(tmp_path / "film.mp4", picture_s=2, sound_s=8)

    long = make(source, audioOnly=True)

    assert long.result["duration"] == pytest.approx(8, abs=0.1)
    assert heard(long.folder / "audio-1" / "playlist.m3u8")[1] == pytest.approx(8, abs=0.1)


def test_sounds_begin_with_a_picture_that_comes_late(film: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.mkv"
    picture, sound = ("-itsoffset", 3, "-i", film), ("-i", film)
    samples.ffmpeg(*picture, *sound, "-map", "0:v", "-map", "1:a", "-map", "1:s:0", "-c", "copy", "-t", 12, late)

    both = make(late, audioTracks=["en", "de"], subtitles=True)

    assert first_pts_s(both.folder / "low") == pytest.approx(13, abs=0.01)
    assert first_pts_s(both.folder / "audio-2-de") == pytest.approx(13, abs=0.03)
    assert durations(both.folder / "audio-1-en" / "playlist.m3u8") == pytest.approx([6, 3], abs=0.05)
    assert [[cue.text[:5] for cue in cues] for cues in cues_of(both.folder / "subtitles-1-en")] == [
        ["Hello", "over "],
        [],
    ]


def test_the_clock_of_a_transport_stream_begins_with_its_first_sound(film: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.ts"
    maps = ("-map", "0:v", "-map", "1:a:0")
    samples.ffmpeg("-itsoffset", 3, "-i", film, "-i", film, *maps, "-c", "copy", "-t", 9, late)

    both = make(late, audioOnly=True)

    assert first_pts_s(both.folder / "low") == pytest.approx(13, abs=0.1)
    assert first_pts_s(both.folder / "audio-1-en") == pytest.approx(13, abs=0.1)


def test_all_playlists_have_one_target_duration(made: Made) -> None:
    playlists = [path for path in made.folder.glob("*/playlist.m3u8") if "subtitles" not in path.parent.name]

    assert len(playlists) == 8
    assert len({re.findall("#EXT-X-TARGETDURATION:([0-9]+)", path.read_text())[0] for path in playlists}) == 1


def test_a_variant_counts_the_sound_it_is_played_with(made: Made) -> None:
    variants = read_master(made.folder / "master.m3u8")
    sounds = {
        group: max(sound["bandwidth"] for sound in made.result["audioTracks"] if sound["playlist"] in paths)
        for group in ("audio-48000", "audio-96000")
        if (
            paths := {
                f"out/{one['URI']}"
                for one in read_media(made.folder / "master.m3u8", "AUDIO")
                if one["GROUP-ID"] == group
            }
        )
    }

    for rendition, group in zip(made.result["renditions"], sounds.__reversed__(), strict=True):
        said = variants[f"{rendition['name']}/playlist.m3u8"]
        assert said["AUDIO"] == group
        assert int(said["BANDWIDTH"]) == rendition["bandwidth"] + sounds[group]
        assert re.fullmatch(r"avc1\.\w{6},mp4a\.40\.2", said["CODECS"])
    alone = variants["audio-1-en/playlist.m3u8"]
    assert (alone["CODECS"], alone["AUDIO"], int(alone["BANDWIDTH"])) == (
        "mp4a.40.2",
        "audio-48000",
        sounds["audio-48000"],
    )
    assert "RESOLUTION" not in alone


def test_the_result_names_what_was_made(made: Made) -> None:
    assert [(one["name"], one["language"], one["isDefault"]) for one in made.result["audioTracks"][:3]] == [
        ("English", "en", True),
        ("German", "de", False),
        ("French", "fr", False),
    ]
    assert made.result["audioOnly"] is True
    assert [(one["name"], one["language"], one["isForced"]) for one in made.result["subtitles"]] == [
        ("English", "en", False),
        ("German", "de", True),
        ("Pour 'tous' ($a}", "fr", False),
    ]
    files = list(made.folder.rglob("segment_*"))
    assert made.result["segments"] == len(files)
    assert made.result["size"] == sum(path.stat().st_size for path in files)


def test_a_second_job_keeps_all_of_it_and_one_with_another_wish_does_not(film: Path, made: Made) -> None:
    assert make(film, qualities=QUALITIES, **ALL).result == {**made.result, "skipped": True}
    elsewhere = make(film, folder="other", subtitles=True)
    assert elsewhere.result["skipped"] is False
    (elsewhere.folder / "subtitles-2-de" / "segment_00001.vtt").unlink()
    assert make(film, folder="other", subtitles=True).result["skipped"] is False
    assert make(film, folder="other").result["skipped"] is False
    assert not list(elsewhere.folder.glob("subtitles*/*")), "what is not wanted any more goes"


def test_a_player_finds_every_sound_and_text_beside_the_pictures(made: Made) -> None:
    options = {"protocol_whitelist": "file,crypto,data", "allowed_extensions": "ALL"}
    with av.open(str(made.folder / "master.m3u8"), options=options) as container:
        packets = Counter(packet.stream.index for packet in container.demux() if packet.size)
        found = {
            kind: sorted({stream.metadata.get("language", "") for stream in streams} - {""})
            for kind, streams in (("audio", container.streams.audio), ("subtitle", container.streams.subtitles))
        }
        assert found == {"audio": ["de", "en", "fr"], "subtitle": ["de", "en", "fr"]}
        assert [packets[stream.index] for stream in container.streams.video] == [130, 130]
        assert all(packets[stream.index] for stream in container.streams.audio), "every one can be played"


def test_one_language_is_heard_from_the_segments_of_the_picture(film: Path) -> None:
    german = make(film, folder="german", audioTracks=["deu"])

    assert german.result["audioTracks"] == []
    assert "TYPE=AUDIO" not in (german.folder / "master.m3u8").read_text()
    assert heard(german.folder / "low" / "playlist.m3u8")[0] == pytest.approx(TONES["de"], rel=0.02)


def test_languages_come_in_the_order_asked_and_the_best_sound_is_the_default(film: Path) -> None:
    some = make(film, folder="some", audioTracks=["fr", "en"])

    assert [(one["language"], one["isDefault"]) for one in some.result["audioTracks"]] == [("fr", False), ("en", True)]


def test_a_language_that_there_is_not_is_refused_and_those_that_there_are_named(film: Path) -> None:
    with pytest.raises(BadInputError, match="no sound in 'ja'; it has en, de, fr"):
        make(film, folder="none", audioTracks=["en", "ja"])


def test_twins_have_different_names_and_only_one_may_be_chosen_by_a_player(tmp_path: Path) -> None:
    both = make(tracks.with_commentary(tmp_path / "film.mkv"), audioTracks="all")

    offered = read_media(both.folder / "master.m3u8", "AUDIO")
    assert [(one["NAME"], one["AUTOSELECT"]) for one in offered] == [("English", "YES"), ("Director", "NO")]


def test_a_silent_video_has_neither_sounds_nor_texts(tmp_path: Path) -> None:
    silent = make(samples.silent(tmp_path / "film.mp4", duration=1), **ALL)

    assert silent.result["audioTracks"] == silent.result["subtitles"] == []
    assert silent.result["audioOnly"] is False
    assert any("no sound" in line for line in silent.log)


@pytest.mark.parametrize("name", ["audio-1", "Audio-2-en", "subtitles-1-de", "keys"])
def test_a_quality_has_no_name_that_another_folder_may_have(name: str) -> None:
    with pytest.raises(ValueError, match="choose another name"):
        HlsPayload.model_validate({"inputPath": "a", "outputDir": "b", "qualities": [{"name": name, "height": 90}]})
