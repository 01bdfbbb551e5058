"""What the hls job makes, played by real Chromium without any player in JavaScript."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hls_check.folders import encrypted, fragments
from tests.workers import _samples_video as samples
from tests.workers._playback import need_chromium, play
from workers.hls import hls
from workplatform.hls_check import check
from workplatform.testing import run_inline

SECONDS = 13
TWO = [{"name": "top", "height": 180}, {"name": "lowest", "height": 90}]


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a default job."""
    need_chromium()
    root = tmp_path_factory.mktemp("film")
    samples.plain(root / "film.mp4", duration=SECONDS)
    run_inline(hls, {"inputPath": "film.mp4", "outputDir": "out", "qualities": TWO}, root=root)
    return root / "out"


@pytest.mark.parametrize(
    ("playlist", "sizes"),
    [
        ("master.m3u8", {(320, 180), (160, 90)}),
        ("top/playlist.m3u8", {(320, 180)}),
        ("lowest/playlist.m3u8", {(160, 90)}),
    ],
)
def test_chromium_plays_and_seeks_into_the_last_third(
    playlist: str, sizes: set[tuple[int, int]], stream: Path, tmp_path: Path
) -> None:
    played = play(stream, playlist, tmp_path / "profile")

    assert played["advanced"].at < SECONDS / 2
    assert played["advanced"].duration == pytest.approx(SECONDS, abs=0.2)
    assert played["resumed"].at > SECONDS * 2 / 3
    assert {played["advanced"].size, played["resumed"].size} <= sizes


@pytest.mark.parametrize("make", [fragments, encrypted])
def test_what_the_check_finds_good_plays(make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = make(tmp_path / "stream")

    assert not check(folder).errors
    assert play(folder, "master.m3u8", tmp_path / "profile")["resumed"].at > 4


@pytest.mark.parametrize("segment_type", ["ts", "fmp4"])
def test_slides_play(tmp_path: Path, segment_type: str) -> None:
    source = samples.slides(tmp_path / "talk.mp4", seconds_each=8, duration=40)
    payload = {"inputPath": source.name, "outputDir": "out", "qualities": TWO[1:], "segmentType": segment_type}
    run_inline(hls, payload, root=tmp_path)

    assert play(tmp_path / "out", "master.m3u8", tmp_path / "profile")["resumed"].at > 27


def test_the_check_finds_no_error_in_what_the_job_makes(stream: Path) -> None:
    report = check(stream)

    assert [finding for finding in report.findings if finding.severity == "error"] == []
    assert {finding.rule for finding in report.findings} <= {"no-iframe-playlist", "no-audio-group"}
