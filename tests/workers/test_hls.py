"""The hls job on real videos: every rendition is decoded to its end and compared with what the playlists say."""

import re
from pathlib import Path

import av
import psutil
import pytest

from tests.workers import _samples_video as samples
from tests.workers._hls_runs import TWO, files_below, make_ladder, make_watched_ladder
from tests.workers._streams import read_master
from workers.hls import HlsPayload, hls
from workplatform.errors import (
    BadInputError,
    Cancelled,
    EncoderError,
    InputNotFoundError,
    JobError,
    PathForbiddenError,
)
from workplatform.testing import InlineRun, inline_job, run_inline


def frames_in(path: Path) -> int:
    with av.open(f"file:{path}") as container:
        return sum(1 for _ in container.decode(video=0))


def test_an_ordinary_video_becomes_a_ladder_of_aligned_segments(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "film.mp4", duration=13)

    made = make_ladder(source)

    assert made.sizes == [(320, 180), (160, 90)]
    assert [len(stream.times) for stream in made.streams] == [325, 325]
    assert [start - made.streams[0].segment_starts[0][1] for _, start in made.streams[0].segment_starts] == [0, 6, 12]
    assert made.streams[0].durations == [6.0, 6.0, 1.0]
    assert made.streams[0].sound == ("aac", 2, 48_000)
    assert made.streams[0].sound_s == pytest.approx(13, abs=0.1)
    assert made.result["success"] is True and made.result["skipped"] is False
    assert made.result["hlsPath"] == "out/master.m3u8"
    assert made.result["qualities"] == ["high", "low"]
    assert made.result["duration"] == 13.0
    segments = list((tmp_path / "out").glob("*/*.ts"))
    assert made.result["segments"] == len(segments) == 6
    assert made.result["size"] == sum(segment.stat().st_size for segment in segments)


def test_the_master_tells_what_was_measured(tmp_path: Path) -> None:
    made = make_ladder(samples.plain(tmp_path / "film.mp4", rate="30000/1001", duration=8))

    variants = read_master(tmp_path / "out" / "master.m3u8")

    assert list(variants) == ["high/playlist.m3u8", "low/playlist.m3u8"]
    for said, stream in zip(variants.values(), made.streams, strict=True):
        assert int(said["BANDWIDTH"]) == pytest.approx(stream.peak_bandwidth, abs=2)
        assert int(said["AVERAGE-BANDWIDTH"]) == pytest.approx(stream.average_bandwidth, abs=2)
        assert said["RESOLUTION"] == f"{stream.size[0]}x{stream.size[1]}"
        assert said["FRAME-RATE"] == "29.970"
        assert re.fullmatch(r"avc1\.6400[0-9a-f]{2},mp4a\.40\.2", said["CODECS"])


def test_the_default_ladder_never_upscales_and_always_has_its_lowest(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "small.mp4", size="640x360", duration=1)

    result = run_inline(hls, {"inputPath": "small.mp4", "outputDir": "out"}, root=tmp_path)

    assert source.exists()
    assert result["qualities"] == ["480p"]
    assert read_master(tmp_path / "out" / "master.m3u8")["480p/playlist.m3u8"]["RESOLUTION"] == "640x360"


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
        ("1", 14, 14, "1.000"),
        ("1/10", 30, 3, "0.100"),
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


def test_a_long_pause_makes_one_long_segment_and_no_empty_ones(tmp_path: Path) -> None:
    made = make_ladder(samples.silent(tmp_path / "screen.mp4", "select='lt(t,3)+gt(t,33)'", size="64x36", duration=40))

    assert made.streams[0].durations == pytest.approx([33.04, 2.96, 4.0])


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


def test_sound_that_ends_early_leaves_the_picture_whole(tmp_path: Path) -> None:
    made = make_ladder(samples.with_sound(tmp_path / "film.mp4", picture_s=8, sound_s=2))

    assert made.streams[0].durations == [6.0, 2.0]


def test_sound_that_begins_late_is_filled_with_silence(tmp_path: Path) -> None:
    made = make_ladder(samples.with_late_sound(tmp_path / "film.mp4", delay_s=1.5))

    assert made.streams[0].sound_s == pytest.approx(3, abs=0.1)


def test_each_rendition_has_the_sound_bitrate_it_asks_for(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "film.mp4", duration=6)
    qualities = [
        {"name": "a", "height": 90, "audioBitrate": "192k"},
        {"name": "b", "height": 90, "audioBitrate": "32k"},
        {"name": "c", "height": 90, "audioBitrate": "192k"},
    ]

    made = make_ladder(source, qualities=qualities)

    a, b, c = (rendition["averageBandwidth"] for rendition in made.result["renditions"])
    assert a == c > b
    assert made.log[0].count("-b:a:") == 2, "one encoder for each bitrate"


def test_a_bitrate_is_kept_and_a_better_quality_is_larger(tmp_path: Path) -> None:
    source = samples.silent(tmp_path / "film.mp4", "noise=alls=40:allf=t", duration=12)
    qualities = [
        {"name": "given", "height": 180, "bitrate": "400k"},
        {"name": "capped", "height": 180, "crf": 18, "bitrate": "600k"},
        {"name": "free", "height": 180, "crf": 18},
    ]

    made = make_ladder(source, qualities=qualities)

    given, capped, free = (stream.average_bandwidth for stream in made.streams)
    assert 0.8 * 400_000 < given < 1.2 * 400_000
    assert 0.8 * 600_000 < capped < 1.2 * 600_000
    assert free > 2 * capped


@pytest.mark.parametrize(("frames", "rate"), [(8, 25.0), (1, None)])
def test_a_very_short_video_is_one_playable_segment(tmp_path: Path, frames: int, rate: float | None) -> None:
    path = tmp_path / "blink.mp4"
    samples.ffmpeg(*samples.picture(), "-frames:v", frames, "-c:v", "libx264", "-pix_fmt", "yuv420p", path)

    made = make_ladder(path)

    assert len(made.streams[0].times) == frames
    assert made.result["segments"] == 2
    assert made.result["renditions"][0]["frameRate"] == rate


def test_a_clock_that_does_not_start_at_zero_changes_nothing(tmp_path: Path) -> None:
    made = make_ladder(samples.shifted(tmp_path / "broadcast.ts", start_s=10_000))

    assert made.streams[0].durations == [6.0, 1.0]
    assert len(made.streams[0].times) == 175


@pytest.mark.parametrize("name", ["-y.mp4", "concat:a|b.mp4", "file:x.mp4", "100 %05d 'q\" [x]|.mp4", "視頻.mp4"])
def test_a_strange_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    assert make_ladder(samples.plain(tmp_path / name, duration=1)).result["success"]


def test_a_truncated_video_is_encoded_as_far_as_it_goes(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "film.mp4", duration=10)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])

    made = make_ladder(source)

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


def test_the_second_run_keeps_a_complete_output(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "film.mp4", duration=1)
    first = make_ladder(source)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}

    second = make_ladder(source)

    assert second.result["skipped"] is True
    assert {**second.result, "skipped": False} == {
        **first.result,
        "renditions": [
            {**rendition, "frameRate": round(rendition["frameRate"], 3)} for rendition in first.result["renditions"]
        ],
    }
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_overwrite_another_video_other_qualities_and_lost_segments_are_encoded_again(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "film.mp4", duration=1)
    make_ladder(source)

    assert make_ladder(source, overwrite=True).result["skipped"] is False
    assert make_ladder(source, qualities=TWO[1:]).result["skipped"] is False
    assert make_ladder(source, qualities=[{**TWO[1], "crf": 30}]).result["skipped"] is False
    assert make_ladder(source, qualities=[{**TWO[1], "crf": 30}]).result["skipped"] is True
    (tmp_path / "out" / "low" / "segment_00000.ts").unlink()
    assert make_ladder(source, qualities=[{**TWO[1], "crf": 30}]).result["skipped"] is False
    samples.plain(source, duration=2)
    again = make_ladder(source, qualities=[{**TWO[1], "crf": 30}])
    assert again.result["skipped"] is False and again.result["duration"] == 2.0


def test_progress_rises_over_all_renditions_with_speed_and_time_left(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "film.mp4", duration=120)

    with inline_job(tmp_path, preload=("workers.hls",)) as run:
        make_watched_ladder(source, run, qualities=TWO)

    percents = [percent for percent, stage, _ in run.told if stage == "transcoding"]
    assert percents == sorted(percents)
    assert len(set(percents)) >= 4
    assert percents[0] < 50 < percents[-1]
    assert run.told[-1][0] == 100
    messages = [message for _, _, message in run.told]
    assert any(re.fullmatch(r"transcoding 2 renditions, [\d.]+x, \d+ s left", message) for message in messages)


def test_a_cancelled_job_ends_its_ffmpeg_and_leaves_nothing(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "film.mp4", duration=120)

    def cancel_halfway(run: InlineRun) -> None:
        if run.told and run.told[-1][0] > 2:
            run.pulse.stop(Cancelled())

    with pytest.raises(Cancelled), inline_job(tmp_path, preload=("workers.hls",)) as run:
        make_watched_ladder(source, run, on_look=cancel_halfway, qualities=TWO)

    assert files_below(tmp_path) == {"film.mp4"}
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if f"file:{source}" in command]


def a_reference_to(video: Path) -> dict[str, str]:
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{video}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{video}'\n",
        "dash": f'<?xml version="1.0"?><MPD type="static"><BaseURL>{video}</BaseURL></MPD>',
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns={video}\nm=video 9 RTP/AVP 96\n",
    }


@pytest.mark.parametrize("kind", ["hls", "concat", "dash", "sdp"])
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8"])
def test_a_playlist_in_disguise_reaches_no_other_file(tmp_path: Path, kind: str, suffix: str) -> None:
    secret = samples.plain(tmp_path / "secret.ts", duration=1)
    (tmp_path / f"evil{suffix}").write_text(a_reference_to(secret)[kind])

    with pytest.raises(BadInputError, match=f"not a video: evil{suffix} is a playlist that refers to other files"):
        run_inline(hls, {"inputPath": f"evil{suffix}", "outputDir": "out"}, root=tmp_path)

    assert files_below(tmp_path) == {"secret.ts", f"evil{suffix}"}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.txt", b"hello\n" * 100, "not a video: no video stream in x.txt"),
        ("x.mp4", b"", "not a video: x.mp4 is empty"),
        ("x.mp4", b"\0\0\0\x18ftypisom" + b"\0" * 500, "damaged video: x.mp4 is cut off or its index is missing"),
        ("x.py", b"import os\n" * 50, "not a video: no video stream in x.py"),
    ],
)
def test_what_is_no_video_is_refused_in_a_sentence_and_leaves_nothing(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(BadInputError) as caught:
        run_inline(hls, {"inputPath": name, "outputDir": "new/out"}, root=tmp_path)

    assert caught.value.message == sentence
    assert not caught.value.retryable
    assert files_below(tmp_path) == {name}


def test_a_song_with_a_cover_is_no_video(tmp_path: Path) -> None:
    samples.song_with_cover(tmp_path / "song.mp3")

    with pytest.raises(BadInputError, match=r"not a video: no video stream in song\.mp3"):
        run_inline(hls, {"inputPath": "song.mp3", "outputDir": "out"}, root=tmp_path)


@pytest.mark.parametrize(
    ("path", "error"),
    [("missing.mp4", InputNotFoundError), ("../outside.mp4", PathForbiddenError), ("http://[::1]/a.mp4", JobError)],
)
def test_missing_and_forbidden_inputs_are_refused(tmp_path: Path, path: str, error: type[JobError]) -> None:
    with pytest.raises(error) as caught:
        run_inline(hls, {"inputPath": path, "outputDir": "out"}, root=tmp_path)

    assert not caught.value.retryable
    assert files_below(tmp_path) == set()


def test_the_reason_of_a_failing_ffmpeg_is_in_the_error_and_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples.plain(tmp_path / "film.mp4", duration=1)
    broken = tmp_path / "ffmpeg"
    said = ["[libx264 @ 0x1] the encoder is on strike.", "Conversion failed!"]
    broken.write_text("#!/bin/sh\n" + "".join(f"echo '{line}' >&2\n" for line in said) + "exit 8\n")
    broken.chmod(0o755)
    monkeypatch.setenv("FFMPEG_BIN", str(broken))

    with (
        pytest.raises(EncoderError, match="ffmpeg could not make the renditions: the encoder is on strike"),
        inline_job(tmp_path) as run,
    ):
        hls(HlsPayload(input_path="film.mp4", output_dir="out"), run.job)

    assert run.lines[-2:] == said
    assert files_below(tmp_path) == {"film.mp4", "ffmpeg"}
