"""The encode job: what it makes, keeps, drops and tells."""

from pathlib import Path
from typing import Any

import pytest

from tests.workers import _samples_video as samples
from tests.workers._encode_runs import lines_of, make, opened
from workers.encode import encode
from workplatform.errors import BadInputError
from workplatform.testing import run_inline

SMALL = "160x90"
SRT = "1\n00:00:00,200 --> 00:00:00,900\nearly\n\n2\n00:00:01,200 --> 00:00:01,900\nlate\n"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with a title."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    tracks = (*samples.picture(SMALL), *samples.tone())
    samples.ffmpeg(*tracks, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-metadata", "title=Dunes", path)
    return path


@pytest.fixture(scope="module")
def babel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with three sounds, two subtitles and a chapter."""
    folder = tmp_path_factory.mktemp("babel")
    (folder / "words.srt").write_text(SRT)
    chapters = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=1\ntitle=One\n"
    (folder / "about.txt").write_text(chapters)
    inputs = (*samples.picture(SMALL), *samples.tone(), *samples.tone(layout="5.1"), *samples.tone(layout="mono"))
    texts = ("-i", folder / "words.srt", "-i", folder / "words.srt", "-i", folder / "about.txt")
    maps = [word for number in range(6) for word in ("-map", number)]
    names = []
    for kind, languages in (("a", ("eng", "ger", "fra")), ("s", ("eng", "ger"))):
        for number, language in enumerate(languages):
            names += [f"-metadata:s:{kind}:{number}", f"language={language}"]
    codecs = (
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-c:a:1",
        "flac",
        "-c:s:0",
        "srt",
        "-c:s:1",
        "ass",
    )
    path = folder / "babel.mkv"
    samples.ffmpeg(*inputs, *texts, *maps, "-map_metadata", 6, *names, *codecs, path)
    return path


@pytest.mark.parametrize(
    ("name", "codec", "written", "sound"),
    [
        ("out.mp4", "h264", "h264", "aac"),
        ("out.mov", "hevc", "hevc", "aac"),
        ("out.mkv", "av1", "av1", "aac"),
        ("out.webm", None, "vp9", "opus"),
        ("out.webm", "av1", "av1", "opus"),
        ("out.mp4", "vp9", "vp9", "aac"),
    ],
)
def test_each_kind_of_file_holds_its_codecs(film: Path, name: str, codec: str | None, written: str, sound: str) -> None:
    made = make(film, name, codec=codec)

    assert (made.codec if made.codec != "libdav1d" else "av1") == written == made.result["codec"]
    assert (len(made.times), made.size, made.pixels) == (50, (160, 90), "yuv420p")
    assert made.sounds[0][:2] == (sound, 2)
    assert made.sound_s == pytest.approx(2, abs=0.1)
    assert made.result["audio"] == [{"codec": sound, "channels": 2, "language": None, "copied": sound == "aac"}]
    assert made.metadata.get("title", made.metadata.get("TITLE")) == "Dunes"


def test_an_mp4_can_be_played_while_it_loads_and_hevc_has_the_name_that_players_know(film: Path) -> None:
    content = make(film, codec="hevc").path.read_bytes()

    assert content.index(b"moov") < content.index(b"mdat")
    assert b"hvc1" in content


def test_a_webm_has_its_index_before_the_pictures(film: Path) -> None:
    content = make(film, "out.webm").path.read_bytes()

    assert content.index(b"\x1c\x53\xbb\x6b", 200) < content.index(b"\x1f\x43\xb6\x75"), "cues before the first cluster"


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({"width": 80}, (80, 44)),
        ({"height": 45}, (80, 44)),
        ({"width": 1000, "height": 50}, (88, 50)),
        ({"width": 1000}, (160, 90)),
        ({"width": 320, "upscale": True}, (320, 180)),
        ({"width": 101}, (100, 56)),
    ],
)
def test_a_picture_fits_into_its_box_and_grows_only_when_asked(
    film: Path, asked: dict[str, Any], size: tuple[int, int]
) -> None:
    assert make(film, **asked).size == size


def test_a_better_quality_is_larger_and_a_slower_preset_is_used(film: Path) -> None:
    good, bad = make(film, crf=18), make(film, "bad.mp4", crf=40, preset="slow")

    assert good.result["size"] > 1.5 * bad.result["size"]
    assert (good.result["crf"], bad.result["crf"]) == (18, 40)
    assert "-preset slow" in bad.command


@pytest.mark.parametrize(("fps", "frames"), [(10, 20), ("30000/1001", 60), (29.97, 60)])
def test_another_frame_rate_is_made_by_dropping_and_doubling(film: Path, fps: Any, frames: int) -> None:
    made = make(film, fps=fps)

    assert len(made.times) == frames
    assert len({after - before for before, after in zip(made.times, made.times[1:], strict=False)}) == 1


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize(
    ("trim", "frames"), [({"start": 0.5, "end": "1.5"}, 25), ({"start": "75%"}, 12), ({"end": 1}, 25)]
)
def test_a_part_is_cut_out_to_the_frame(film: Path, name: str, trim: dict[str, Any], frames: int) -> None:
    made = make(film, name, trim=trim)

    assert len(made.times) == frames
    assert made.sound_s == pytest.approx(frames / 25, abs=0.1)
    assert made.result["duration"] == pytest.approx(frames / 25, abs=0.1)


@pytest.mark.parametrize(
    ("name", "codecs"), [("film.ogv", ("libtheora", "libvorbis")), ("film.mxf", ("mpeg2video", "pcm_s16le"))]
)
def test_a_part_begins_between_pictures_where_times_are_counted_in_them(
    tmp_path: Path, name: str, codecs: tuple[str, str]
) -> None:
    source = samples.in_format(tmp_path / name, "-c:v", codecs[0], "-c:a", codecs[1], size=SMALL)

    one, more = make(source, trim={"start": 0.5, "end": 0.54}), make(source, trim={"start": 0.5, "end": 1.5})

    assert (len(one.times), len(more.times)) == (1, 25)
    assert more.times[0] == 0


def test_a_short_hole_in_a_sound_is_filled(tmp_path: Path) -> None:
    hole = ("-af", "aselect='not(between(t,0.5,0.55))'", "-c:v", "libx264", "-c:a", "pcm_s16le")
    source = samples.in_format(tmp_path / "film.mkv", *hole, size=SMALL)

    assert make(source).sound_s == pytest.approx(2, abs=0.025)


def test_all_sounds_keep_their_language_and_channels(babel: Path) -> None:
    made = make(babel, audio="all")

    assert made.sounds == [("aac", 2, "eng"), ("aac", 6, "ger"), ("aac", 1, "fra")]
    assert [sound["language"] for sound in made.result["audio"]] == ["en", "de", "fr"]
    assert [sound["copied"] for sound in made.result["audio"]] == [True, False, True]


@pytest.mark.parametrize(("audio", "kept"), [("none", []), (["fr", "deu"], ["fra", "ger"]), ("default", ["eng"])])
def test_only_the_sounds_asked_for_are_kept(babel: Path, audio: Any, kept: list[str]) -> None:
    assert [language for _, _, language in make(babel, audio=audio, metadata="drop").sounds] == kept


def test_a_language_that_is_not_there_is_an_error_that_names_those_that_are(babel: Path) -> None:
    with pytest.raises(BadInputError, match="audio: the video has no sound in 'it'; it has en, de, fr"):
        make(babel, audio=["it"])


def test_opus_takes_every_layout(babel: Path) -> None:
    assert make(babel, "out.webm", audio="all").sounds == [("opus", 2, "eng"), ("opus", 6, "ger"), ("opus", 1, "fra")]


@pytest.mark.parametrize(
    ("name", "codecs"),
    [("out.mp4", ["mov_text", "mov_text"]), ("out.mkv", ["srt", "ssa"]), ("out.webm", ["webvtt", "webvtt"])],
)
def test_subtitles_take_the_form_of_the_file(babel: Path, name: str, codecs: list[str]) -> None:
    made = make(babel, name)

    assert made.texts == list(zip(codecs, ["eng", "ger"], strict=True))
    said = {"srt": "subrip", "ssa": "ass"}
    assert [text["codec"] for text in made.result["subtitles"]] == [said.get(codec, codec) for codec in codecs]
    assert "early" in lines_of(made.path)[0] and "late" in lines_of(made.path)[1]


def test_subtitles_and_metadata_can_be_dropped(babel: Path, film: Path) -> None:
    assert make(babel, subtitles="drop").texts == []
    assert "title" not in make(film, "bare.mp4", metadata="drop").metadata


def test_fonts_keep_their_names_where_metadata_is_dropped(babel: Path) -> None:
    font, named = babel.with_name("plain.ttf"), babel.with_name("named.mkv")
    font.write_bytes(b"\0\1\0\0" + bytes(100))
    samples.rewrapped(babel, named, "-map", 0, "-attach", font, "-metadata:s:t:0", "mimetype=font/ttf")

    make(named, "named_out.mkv", metadata="drop")

    with opened(babel.with_name("named_out.mkv")) as container:
        assert [stream.metadata for stream in container.streams if stream.type == "attachment"] == [
            {"filename": "plain.ttf", "mimetype": "font/ttf"}
        ]


@pytest.mark.parametrize(("metadata", "place"), [("keep", "+48.1000+011.5000/"), ("drop", None)])
def test_the_place_that_a_phone_notes_is_kept(film: Path, metadata: str, place: str | None) -> None:
    key = "com.apple.quicktime.location.ISO6709"
    phone = samples.rewrapped(
        film, film.with_name("phone.mov"), "-movflags", "use_metadata_tags", "-metadata", f"{key}=+48.1+011.5/"
    )

    assert make(phone, metadata=metadata).metadata.get("location") == place


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.webm"])
@pytest.mark.parametrize(("end", "seconds"), [("1.5", 1.0), ("100%", 1.5)])
def test_subtitles_over_the_ends_of_a_part_neither_move_it_nor_make_it_longer(
    babel: Path, name: str, end: str, seconds: float
) -> None:
    made = make(babel, name, audio="none", trim={"start": "0.5", "end": end})

    assert float(made.times[0]) < 0.05
    assert made.result["duration"] == pytest.approx(seconds, abs=0.05)
    assert "early" in lines_of(made.path)[0] and "late" in lines_of(made.path)[-1]


def test_subtitles_outside_of_a_part_are_left_out(babel: Path) -> None:
    assert ["late" in line for line in lines_of(make(babel, "out.mkv", trim={"start": "1"}).path)] == [True]
    assert ["early" in line for line in lines_of(make(babel, "out.mkv", trim={"end": "1"}).path)] == [True]


def test_between_the_last_picture_and_the_end_the_last_one_is_on_screen(film: Path) -> None:
    assert make(film, trim={"start": 1.99}, audio="none").times == [0]


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts"])
@pytest.mark.parametrize("audio", ["default", "none"])
def test_a_part_begins_with_the_picture_that_is_on_screen(tmp_path: Path, name: str, audio: str) -> None:
    source = samples.plain(tmp_path / name, size=SMALL, rate=1, duration=8)

    one = make(source, trim={"start": 5.4, "end": 5.9}, audio=audio)
    more = make(source, trim={"start": 5.4, "end": 7.9}, audio=audio)

    assert one.times == [0]
    assert [float(time) for time in more.times] == pytest.approx([0, 0.6, 1.6], abs=0.03)
    assert more.sound_s == pytest.approx(2.5 if audio == "default" else 0, abs=0.03)
    assert not any(line.startswith("the video ends early") for line in more.log)


def test_a_part_is_found_however_far_its_keyframe_is(tmp_path: Path) -> None:
    one_keyframe = ("-c:v", "libx264", "-g", 9999, "-sc_threshold", 0)
    film = samples.plain(tmp_path / "film.mp4", size=SMALL, rate=10, duration=22)
    samples.ffmpeg("-i", film, *one_keyframe, tmp_path / "film.ts")

    assert len(make(tmp_path / "film.ts", trim={"start": 20}).times) == 20


def test_progress_rises_and_tells_speed_and_time_left(film: Path) -> None:
    made = make(film, preset="slow")

    percents = [percent for percent, _, _ in made.told]
    assert percents == sorted(percents)
    assert made.told[-1][0] == 100 and "saved" in made.told[-1][2]


def test_the_input_is_not_replaced_by_the_result(film: Path) -> None:
    before = film.read_bytes()

    with pytest.raises(BadInputError, match=r"outputPath: \./film\.mp4 is the input: give the result another name"):
        run_inline(encode, {"inputPath": "film.mp4", "outputPath": "./film.mp4"}, root=film.parent)

    assert film.read_bytes() == before


@pytest.mark.parametrize(
    ("trim", "sentence"),
    [
        ({"start": 5}, r"trim\.start: 5 is not before the end of the video, which lasts 2\.0"),
        ({"start": "1.5", "end": "50%"}, r"trim ends at 1\.0.* s, not after its start at 1\.500 s"),
    ],
)
def test_a_part_that_is_not_there_is_refused(film: Path, trim: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInputError, match=sentence):
        make(film, trim=trim)
