"""HLS of videos in which pictures stand for long: each keeps its time, and stands until the next one comes."""

from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.workers._hls_runs import make_ladder
from tests.workers._numbered import numbered, numbers
from tests.workers._streams import read_master
from workplatform.hls_check import check

SMALL = [{"name": "low", "height": 90}]
SCREEN = "lt(t,2)+between(t,2.9,3.2)+between(t,20,20.2)+gt(t,25)"
# A picture is shown again by an even grid of half seconds, but not just behind another one.
LONGEST_S = 0.6


def joined(path: Path) -> Path:
    """Make a tape of two recordings; in the first one a picture stands for longer than ffmpeg believes a clock."""
    parts = [numbered(path.with_name("one.ts"), SCREEN), path.with_name("two.ts")]
    numbered(parts[1], "1", "-output_ts_offset", 5000, seconds=8, sound_s=8)
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


SOURCES: dict[str, Callable[[Path], Path]] = {
    "screen.ts": lambda path: numbered(path, SCREEN),
    "screen.mkv": lambda path: numbered(path, SCREEN),
    "silent.ts": lambda path: numbered(path, SCREEN, sound_s=0),
    "cover.ts": lambda path: numbered(path, "eq(n,0)"),
    "cover.mkv": lambda path: numbered(path, "eq(n,0)"),
    "cover.mp4": lambda path: numbered(path, "eq(n,0)"),
    "slides.ts": lambda path: numbered(path, "eq(n,0)+eq(n,123)"),
    "slides.mp4": lambda path: numbered(path, "eq(n,0)+eq(n,123)"),
    "late.ts": lambda path: numbered(path, "gt(t,12)"),
    "late-cover.mkv": lambda path: numbered(path, "eq(n,123)"),
    "short-sound.ts": lambda path: numbered(path, SCREEN, sound_s=8),
    "sound-with-a-hole.ts": lambda path: numbered(path, heard="lt(t,5)+gt(t,20)"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_picture_has_its_time_and_stands_until_the_next(tmp_path: Path, name: str) -> None:
    source = SOURCES[name](tmp_path / name)
    was = numbers(source)

    made = make_ladder(source, qualities=SMALL, passthrough=False)

    offset_s, now = was[0][0], numbers(tmp_path / "out" / "low" / "playlist.m3u8")
    shown = [(time_s - now[0][0], number) for time_s, number in now]
    times = [time_s - offset_s for time_s, _ in was]
    assert [was[bisect_right(times, time_s + 0.003) - 1][1] for time_s, _ in shown] == [number for _, number in shown]
    firsts = {number: time_s for time_s, number in reversed(shown)}
    assert [firsts[number] for _, number in was] == pytest.approx(times, abs=0.003)
    assert max(after - before for (before, _), (after, _) in pairwise(shown)) < LONGEST_S
    assert made.streams[0].durations[:-1] == pytest.approx([6.0] * (len(made.streams[0].durations) - 1))
    assert shown[-1][0] + offset_s == pytest.approx(30, abs=LONGEST_S)
    assert not check(tmp_path / "out").errors


def test_a_clock_that_begins_anew_is_no_pause_beside_pauses(tmp_path: Path) -> None:
    made = make_ladder(joined(tmp_path / "tape.ts"), qualities=SMALL, passthrough=False)

    assert sum(made.streams[0].durations) == pytest.approx(38, abs=0.6)
    assert not [line for line in made.log if "ends early" in line]
    assert made.streams[0].durations[:-1] == pytest.approx([6.0] * 6)
    second = [number for time_s, number in numbers(tmp_path / "out" / "low" / "playlist.m3u8") if time_s > 30.01]
    assert list(dict.fromkeys(second)) == list(range(80))


def test_encoders_know_the_rate_of_pictures_that_come_late(tmp_path: Path) -> None:
    make_ladder(numbered(tmp_path / "late.ts", "gt(t,12)"), qualities=SMALL, passthrough=False)

    assert read_master(tmp_path / "out" / "master.m3u8")["low/playlist.m3u8"]["FRAME-RATE"] == "10.000"
