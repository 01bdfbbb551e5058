"""The hls job: what it makes, tells and keeps; every rendition is decoded to its end."""

import os
import re
from pathlib import Path

import psutil
import pytest

from tests.workers import _samples_video as samples
from tests.workers._hls_runs import TWO, files_below, make_ladder, make_watched_ladder
from tests.workers._streams import read_master
from workers.hls import hls
from workplatform.errors import (
    Cancelled,
)
from workplatform.testing import InlineRun, inline_job, run_inline


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
    source = samples.silent(tmp_path / "film.mp4", "noise=alls=40:allf=t", rate=10, duration=12)
    qualities = [
        {"name": "given", "height": 180, "bitrate": "300k"},
        {"name": "capped", "height": 180, "crf": 18, "bitrate": "400k"},
        {"name": "free", "height": 180, "crf": 18},
    ]

    made = make_ladder(source, qualities=qualities)

    given, capped, free = (stream.average_bandwidth for stream in made.streams)
    assert 0.8 * 300_000 < given < 1.2 * 300_000
    assert 0.8 * 400_000 < capped < 1.2 * 400_000
    assert free > 2 * capped


def test_the_second_run_keeps_a_complete_output(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "film.mp4", duration=1)
    first = make_ladder(source)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}

    second = make_ladder(source)

    assert second.result["skipped"] is True
    assert {**second.result, "skipped": False} == first.result
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


def test_a_video_that_changed_in_the_middle_is_encoded_again(tmp_path: Path) -> None:
    source = samples.silent(tmp_path / "film.mp4", "noise=alls=40:allf=t", duration=4)
    make_ladder(source)
    content, status = bytearray(source.read_bytes()), source.stat()
    assert len(content) > 3 * (1 << 16), "its middle is neither in its head nor in its tail"
    content[len(content) // 2] ^= 0xFF
    source.write_bytes(content)
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))

    assert make_ladder(source).result["skipped"] is False


def test_a_new_encode_takes_away_the_old_ones_files_and_nobody_elses(tmp_path: Path) -> None:
    source = samples.plain(tmp_path / "film.mp4", duration=13)
    make_ladder(source)
    strangers = {"out/low/precious.txt", "out/high/segment_00001-notes.ts", "out/own/film.srt", "out/cover.jpg"}
    for name in strangers:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("precious")
    samples.plain(source, duration=2)

    make_ladder(source, qualities=TWO[1:], overwrite=True)

    assert {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()} == {
        "out/master.m3u8",
        "out/low/playlist.m3u8",
        "out/low/segment_00000.ts",
        *strangers,
    }
    assert {(tmp_path / name).read_text() for name in strangers} == {"precious"}


@pytest.fixture
def slowly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A film of half a minute, and an ffmpeg that takes some seconds to read it."""
    monkeypatch.setenv("FFMPEG_BIN", str(samples.slow_ffmpeg(tmp_path / ".ffmpeg")))
    return samples.plain(tmp_path / "film.mp4", rate=10, duration=30)


def test_progress_rises_over_all_renditions_with_speed_and_time_left(slowly: Path, tmp_path: Path) -> None:
    with inline_job(tmp_path, preload=("workers._hls_making",)) as run:
        make_watched_ladder(slowly, run, qualities=TWO)

    percents = [percent for percent, stage, _ in run.told if stage == "transcoding"]
    assert percents == sorted(percents)
    assert len(set(percents)) >= 4
    assert percents[0] < 50 < percents[-1]
    assert run.told[-1][0] == 100
    messages = [message for _, _, message in run.told]
    assert any(re.fullmatch(r"transcoding 2 renditions, [\d.]+x, \d+ s left", message) for message in messages)


def test_a_cancelled_job_ends_its_ffmpeg_and_leaves_nothing(slowly: Path, tmp_path: Path) -> None:
    def cancel_halfway(run: InlineRun) -> None:
        if run.told and run.told[-1][0] > 2:
            run.pulse.stop(Cancelled())

    with pytest.raises(Cancelled), inline_job(tmp_path, preload=("workers._hls_making",)) as run:
        make_watched_ladder(slowly, run, on_look=cancel_halfway, qualities=TWO)

    assert files_below(tmp_path) == {"film.mp4", ".ffmpeg"}
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if f"file:{slowly}" in command]
