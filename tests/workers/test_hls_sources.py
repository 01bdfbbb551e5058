"""The hls job on awkward videos: all come out as playable, aligned renditions."""

from pathlib import Path
from typing import Any

import av
import pytest

from tests.workers import _samples_video as samples
from tests.workers._hls_runs import make_ladder
from tests.workers._streams import read_master
from workers._ffmpeg import binary
from workplatform.hls_check import check


def frames_in(path: Path) -> int:
    with av.open(f"file:{path}") as container:
        return sum(1 for _ in container.decode(video=0))


def broken_off(path: Path) -> Path:
    """Leave the first half of a file's bytes."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ("180x320", [(180, 320), (90, 160)]),
        ("16x16", [(16, 16)]),
        ("240x240", [(180, 180), (90, 90)]),
        ("640x180", [(640, 180), (320, 90)]),
    ],
)
def test_the_picture_keeps_its_shape(tmp_path: Path, size: str, sizes: list[tuple[int, int]]) -> None:
    assert make_ladder(samples.plain(tmp_path / "film.mp4", size=size)).sizes == sizes


def test_odd_sizes_are_made_even(tmp_path: Path) -> None:
    assert make_ladder(samples.silent(tmp_path / "odd.mp4", "format=yuv444p", size="321x181")).sizes[0] == (320, 180)


def test_pixels_that_are_not_square_become_square(tmp_path: Path) -> None:
    assert make_ladder(samples.silent(tmp_path / "wide.mp4", "setsar=4/3")).sizes == [(426, 180), (214, 90)]


@pytest.mark.parametrize(("degrees", "bright"), [(0, "left"), (90, "bottom"), (180, "right"), (-90, "top")])
def test_a_rotated_phone_video_comes_out_upright(tmp_path: Path, degrees: int, bright: str) -> None:
    source = samples.turned(tmp_path / "phone.mp4", degrees)

    made = make_ladder(source)

    assert made.sizes[0] == ((320, 180) if degrees in {0, 180} else (180, 320))
    picture = made.streams[0].first_picture
    rows = [picture[8 * row : 8 * row + 8] for row in range(8)]
    halves = {
        "left": [row[:3] for row in rows],
        "right": [row[5:] for row in rows],
        "top": rows[:3],
        "bottom": rows[5:],
    }
    means = {side: sum(map(sum, part)) for side, part in halves.items()}
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[bright]
    assert means[bright] > 2 * means[opposite]


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv422p10le", "yuv444p", "gray", "rgb24"])
def test_every_pixel_format_comes_out_playable(tmp_path: Path, pixels: str) -> None:
    path = tmp_path / "film.mkv"
    samples.ffmpeg(
        *samples.picture(), "-c:v", "libx264rgb" if pixels == "rgb24" else "libx264", "-pix_fmt", pixels, path
    )

    assert len(make_ladder(path).streams[0].times) == 50


def test_full_range_levels_become_those_that_players_expect(tmp_path: Path) -> None:
    white = "geq=lum=255:cb=128:cr=128", "scale=out_range=pc", "format=yuvj420p"

    made = make_ladder(samples.silent(tmp_path / "phone.mp4", *white))

    assert "out_range=tv" in made.log[0]
    with av.open(str(tmp_path / "out" / "low" / "playlist.m3u8")) as container:
        frame = next(container.decode(video=0))
    assert bytes(frame.planes[0])[0] == pytest.approx(235, abs=2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("film.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")),
        ("film.avi", ("-c:v", "mpeg4", "-bf", "2", "-c:a", "mp3")),
        ("film.mov", ("-c:v", "prores", "-c:a", "pcm_s24le")),
        ("film.mpg", ("-c:v", "mpeg2video", "-c:a", "mp2")),
        ("film.flv", ("-c:v", "flv1", "-c:a", "mp3", "-ar", "44100")),
        ("film.h264", ("-c:v", "libx264", "-an", "-f", "h264")),
        ("film.gif", ("-r", "10")),
    ],
)
def test_usual_containers_and_codecs_are_read(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    source = samples.in_format(tmp_path / name, *options)

    made = make_ladder(source)

    assert abs(len(made.streams[0].times) - frames_in(source)) <= 1
    assert made.result["duration"] == pytest.approx(2, abs=0.25)


@pytest.mark.parametrize(
    ("rate", "duration", "frames", "said"),
    [
        ("60", 7, 420, "60.000"),
        ("24000/1001", 7, 168, "23.976"),
        ("2", 14, 28, "2.000"),
        ("120", 2, 120, "60.000"),
    ],
)
def test_every_frame_rate_up_to_sixty_is_kept(tmp_path: Path, rate: str, duration: int, frames: int, said: str) -> None:
    made = make_ladder(samples.plain(tmp_path / "film.mp4", rate=rate, duration=duration))

    assert len(made.streams[0].times) == frames
    assert read_master(tmp_path / "out" / "master.m3u8")["low/playlist.m3u8"]["FRAME-RATE"] == said


def test_variable_frame_rate_keeps_each_frame_at_its_time(tmp_path: Path) -> None:
    source = samples.silent(tmp_path / "screen.mp4", "select='lt(t,2)*not(mod(n,5))+gte(t,2)'", duration=8)
    with av.open(str(source)) as container:
        times = [frame.time for frame in container.decode(video=0)]

    made = make_ladder(source)

    first = made.streams[0].times[0]
    assert [float(time - first) for time in made.streams[0].times] == pytest.approx(times, abs=0.001)


def test_half_pictures_are_woven_into_whole_ones(tmp_path: Path) -> None:
    made = make_ladder(samples.interlaced(tmp_path / "tape.mp4"))

    assert "bwdif" in made.log[0]
    assert len(made.streams[0].times) == 50


@pytest.mark.parametrize(
    ("layout", "rate", "expected"),
    [
        ("5.1", 48_000, 48_000),
        ("7.1", 48_000, 48_000),
        ("mono", 8_000, 48_000),
        ("stereo", 96_000, 48_000),
        ("stereo", 44_100, 44_100),
    ],
)
def test_every_sound_becomes_stereo(tmp_path: Path, layout: str, rate: int, expected: int) -> None:
    source = samples.with_sound(tmp_path / "film.mp4", picture_s=2, sound_s=2, layout=layout, rate=rate)

    assert make_ladder(source).streams[0].sound == ("aac", 2, expected)


def test_a_video_without_sound_makes_renditions_without_sound(tmp_path: Path) -> None:
    made = make_ladder(samples.silent(tmp_path / "film.mp4"))

    assert [stream.sound for stream in made.streams] == [None, None]
    assert "mp4a" not in (tmp_path / "out" / "master.m3u8").read_text()


def test_sound_that_outlasts_the_picture_is_kept_with_the_last_picture(tmp_path: Path) -> None:
    made = make_ladder(samples.with_sound(tmp_path / "film.mkv", picture_s=2, sound_s=15))

    assert made.streams[0].durations == pytest.approx([6, 6, 3], abs=0.1)
    assert made.streams[0].sound_s == pytest.approx(15, abs=0.1)


@pytest.mark.parametrize("more", [{}, {"segmentType": "fmp4"}, {"passthrough": True}], ids=["ts", "fmp4", "copied"])
def test_sound_that_ends_early_goes_on_in_silence_as_long_as_the_picture(tmp_path: Path, more: dict[str, Any]) -> None:
    made = make_ladder(samples.with_sound(tmp_path / "film.mp4", picture_s=13, sound_s=2), **more)

    assert [rendition["isCopied"] for rendition in made.result["renditions"]] == [more == {"passthrough": True}, False]
    assert made.streams[0].durations == [6.0, 6.0, 1.0] and len(made.streams[0].times) == 13 * 25
    assert made.streams[0].sound_s == pytest.approx(13, abs=0.05)
    assert "track-empty" not in {finding.rule for finding in check(tmp_path / "out").findings}


@pytest.mark.parametrize(("name", "rate", "gone"), [("film.ts", 44_100, 0), ("film.mp4", 48_000, 4)])
def test_the_last_picture_stays_however_long_it_is_shown(tmp_path: Path, name: str, rate: int, gone: int) -> None:
    source = tmp_path / name
    few = ("-vf", f"select='not(between(n,69,{68 + gone}))'", "-fps_mode", "vfr")
    samples.ffmpeg(*samples.picture(duration=3), *samples.tone(1, rate=rate), *few, source)

    made = make_ladder(source, passthrough=False)

    assert len(made.streams[0].times) == 3 * 25 - gone
    assert made.streams[0].sound_s == pytest.approx(3, abs=0.1)


def test_an_ffmpeg_that_is_not_the_wheels_fills_up_with_silence_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FFMPEG_BIN", binary())

    made = make_ladder(samples.with_sound(tmp_path / "film.mp4", picture_s=8, sound_s=2))

    assert made.streams[0].sound_s == pytest.approx(8, abs=0.05)
    assert "shortest" not in "".join(made.log)


def test_silence_ends_where_a_broken_off_picture_does(tmp_path: Path) -> None:
    source = broken_off(samples.with_sound(tmp_path / "film.mp4", picture_s=16, sound_s=2))

    made = make_ladder(source)

    assert 6 < made.streams[0].sound_s < 11
    assert made.streams[0].sound_s == pytest.approx(sum(made.streams[0].durations), abs=0.05)


def test_a_picture_that_begins_late_does_not_count_as_one_that_ends_early(tmp_path: Path) -> None:
    late = ("-itsoffset", 1, *samples.picture(duration=3))
    samples.ffmpeg(*late, *samples.tone(4), "-c:v", "libx264", "-pix_fmt", "yuv420p", tmp_path / "film.mp4")

    made = make_ladder(tmp_path / "film.mp4")

    assert made.result["duration"] == 3.0
    assert not [line for line in made.log if "ends early" in line]


def test_sound_that_begins_late_is_filled_with_silence(tmp_path: Path) -> None:
    made = make_ladder(samples.with_late_sound(tmp_path / "film.mp4", delay_s=2))

    assert made.streams[0].sound_s == pytest.approx(3, abs=0.1)
    assert not [line for line in made.log if "queued" in line], "no pictures are held until it begins"


def test_a_sound_without_a_single_packet_is_none(tmp_path: Path) -> None:
    made = make_ladder(samples.without_any_sound(tmp_path / "film.mkv"))

    assert [stream.sound for stream in made.streams] == [None, None]


@pytest.mark.parametrize("frames", [8, 1])
def test_a_very_short_video_is_one_playable_segment(tmp_path: Path, frames: int) -> None:
    path = tmp_path / "blink.mp4"
    samples.ffmpeg(*samples.picture(), "-frames:v", frames, "-c:v", "libx264", "-pix_fmt", "yuv420p", path)

    made = make_ladder(path)

    assert len(made.streams[0].times) == frames
    assert made.result["segments"] == 2
    assert made.result["renditions"][0]["frameRate"] == 25.0
    assert read_master(tmp_path / "out" / "master.m3u8")["low/playlist.m3u8"]["FRAME-RATE"] == "25.000"


def test_a_single_picture_of_a_millisecond_is_kept_at_a_rate_that_screens_show(tmp_path: Path) -> None:
    path = tmp_path / "still.mkv"
    samples.ffmpeg(*samples.picture(rate=1000), "-frames:v", 1, "-c:v", "libx264", "-pix_fmt", "yuv420p", path)

    made = make_ladder(path)

    assert len(made.streams[0].times) == 1
    assert made.result["renditions"][0]["frameRate"] == 60


def test_a_clock_that_does_not_start_at_zero_changes_nothing(tmp_path: Path) -> None:
    made = make_ladder(samples.shifted(tmp_path / "broadcast.ts", start_s=10_000))

    assert made.streams[0].durations == [6.0, 1.0]
    assert len(made.streams[0].times) == 175


@pytest.mark.parametrize("name", ["-y.mp4", "concat:a|b.mp4", "file:x.mp4", "100 %05d 'q\" [x]|.mp4", "視頻.mp4"])
def test_a_strange_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    assert make_ladder(samples.plain(tmp_path / name, duration=1)).result["success"]


def test_a_truncated_video_is_encoded_as_far_as_it_goes(tmp_path: Path) -> None:
    made = make_ladder(broken_off(samples.plain(tmp_path / "film.mp4", duration=10)))

    assert 4 < made.result["duration"] < 6
    assert any(line.startswith("the video ends early: ") for line in made.log)


def test_damage_in_the_middle_costs_only_what_is_damaged(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "film.mp4", duration=10)
    content = bytearray(source.read_bytes())
    for place in range(40_000, len(content), 5_000):
        content[place] ^= 0xFF
    source.write_bytes(content)

    assert make_ladder(source).result["duration"] == pytest.approx(10, abs=1)


def test_a_picture_that_changes_size_keeps_the_first_one(tmp_path: Path) -> None:
    first, second = samples.plain(tmp_path / "a.ts"), samples.plain(tmp_path / "b.ts", size="160x120")
    moved = tmp_path / "c.ts"
    samples.ffmpeg("-i", second, "-c", "copy", "-output_ts_offset", 2, moved)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + moved.read_bytes())

    made = make_ladder(joined)

    assert made.sizes == [(320, 180), (160, 90)]
    assert made.result["duration"] == pytest.approx(4, abs=0.2)
