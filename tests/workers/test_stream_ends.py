"""When streams end, also where no header tells."""

from pathlib import Path

import pytest

from tests.workers import _samples_video as samples
from workers._probe import probe
from workers._stream_ends import stream_ends
from workers._video import open_video

AAC = b"\0\0\0\xaf\x01"
WITHOUT_HEADER = ("-f", "matroska", "-live", 1)


@pytest.mark.parametrize(("picture_s", "sound_s"), [(3, 2), (2, 16), (16, 2)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("told.mp4", ()),
        ("told.mkv", ()),
        ("told_late.mkv", ("-output_ts_offset", 7)),
        ("untold.flv", ()),
        ("untold.mkv", WITHOUT_HEADER),
        ("untold_late.mkv", (*WITHOUT_HEADER, "-output_ts_offset", 7)),
    ],
)
def test_ends_are_found_in_the_header_near_the_end_or_in_all_of_it(
    tmp_path: Path, name: str, options: tuple[object, ...], picture_s: int, sound_s: int
) -> None:
    film = samples.with_sound(tmp_path / "film.mp4", picture_s=picture_s, sound_s=sound_s)
    found = probe(samples.rewrapped(film, tmp_path / name, *options), name)

    assert found.end_s == pytest.approx(picture_s, abs=0.1)
    assert found.sound_end_s == pytest.approx(sound_s, abs=0.1)
    assert found.duration_s == pytest.approx(max(picture_s, sound_s), abs=0.1)


@pytest.mark.parametrize("picture_s", [4, 12])
def test_where_the_picture_of_a_flash_video_begins_late_its_sound_is_found_too(tmp_path: Path, picture_s: int) -> None:
    film = samples.with_sound(tmp_path / "film.mp4", picture_s=picture_s, sound_s=3)
    late = tmp_path / "late.flv"
    samples.ffmpeg("-i", film, "-itsoffset", 1, "-i", film, "-map", "1:v", "-map", "0:a", "-c:v", "flv1", late)
    found = probe(late, late.name)

    assert found.audio is not None and found.audio.first_s == pytest.approx(0, abs=0.1)
    assert found.end_s == pytest.approx(picture_s + 1, abs=0.1)
    assert found.sound_end_s == pytest.approx(3, abs=0.1)


def test_an_end_that_mkvmerge_has_noted_is_found(tmp_path: Path) -> None:
    film = samples.with_sound(tmp_path / "film.mp4", picture_s=2, sound_s=2)
    tag = ("-metadata:s:v", "DURATION-eng=00:00:07.500000000")
    noted = samples.rewrapped(film, tmp_path / "noted.mkv", *WITHOUT_HEADER, *tag)

    with open_video(noted, noted.name, probe=True) as video:
        assert stream_ends(video.container, [video.stream]) == {video.stream.index: 7.5}


def test_a_text_that_is_shown_longer_makes_no_film_longer(tmp_path: Path) -> None:
    plain, text, film = (tmp_path / name for name in ("plain.mp4", "text.srt", "film.mkv"))
    samples.with_sound(plain, picture_s=3, sound_s=2)
    text.write_text("1\n00:00:02,000 --> 00:00:59,000\nThe end\n")
    samples.ffmpeg("-i", plain, "-i", text, "-c", "copy", film)

    assert probe(film, film.name).duration_s == pytest.approx(3, abs=0.1)


def test_a_sound_that_begins_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    film = samples.with_sound(tmp_path / "film.flv", picture_s=12, sound_s=12)
    data = film.read_bytes()
    late = len(data) * 3 // 4
    # A tag of MP3 in a file of AAC, later than what is read to find out what there is.
    before = next(at for at in range(late, len(data)) if data[at : at + 1] == b"\x08" and data[at + 8 : at + 13] == AAC)
    sound = b"\x2f" + bytes(100)
    tag = b"\x08" + len(sound).to_bytes(3, "big") + data[before + 4 : before + 11] + sound
    film.write_bytes(data[:before] + tag + (len(tag)).to_bytes(4, "big") + data[before:])

    assert probe(film, film.name).end_s is not None
