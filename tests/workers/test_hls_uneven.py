"""HLS of videos whose pictures come at uneven times: slides, pauses, rates that vary."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.workers import _samples_video as samples
from tests.workers._hls_runs import make_ladder
from tests.workers._numbered import STRIPES
from tests.workers._streams import read_master
from workplatform.hls_check import check


def test_slides_and_their_sound_are_in_the_same_segments(tmp_path: Path) -> None:
    made = make_ladder(samples.slides(tmp_path / "talk.mp4", seconds_each=9, duration=54))

    assert made.streams[0].durations == pytest.approx([6.0] * 9, abs=0.03)
    assert not check(tmp_path / "out").errors


@pytest.mark.parametrize("rate", ["1", "1/10"])
def test_where_pictures_stand_for_long_they_are_shown_again(tmp_path: Path, rate: str) -> None:
    made = make_ladder(samples.plain(tmp_path / "film.mp4", rate=rate, duration=30))

    assert [float(time) for time in made.streams[0].times] == [10 + number / 2 for number in range(60)]
    assert made.streams[0].durations == pytest.approx([6.0] * 5, abs=0.03)
    assert read_master(tmp_path / "out" / "master.m3u8")["low/playlist.m3u8"]["FRAME-RATE"] == "2.000"


def test_only_pauses_are_filled(tmp_path: Path) -> None:
    made = make_ladder(samples.silent(tmp_path / "screen.mp4", "select='lt(t,3)+gt(t,33)'", size="64x36", duration=40))

    moving = [number / 25 for number in range(75)]
    still = [3.5 + number / 2 for number in range(60)]
    moving_again = [33 + number / 25 for number in range(1, 175)]
    times = [float(time) - 10 for time in made.streams[0].times]
    assert times == pytest.approx([*moving, *still, *moving_again], abs=0.001)
    assert made.streams[0].durations == pytest.approx([6.0] * 6 + [4.0])


def test_a_picture_that_stands_under_a_longer_sound_is_shown_to_its_end(tmp_path: Path) -> None:
    source = tmp_path / "talk.mp4"
    samples.ffmpeg(*samples.picture("160x90", Fraction(1, 2), 10), *samples.tone(25), "-c:v", "libx264", source)

    made = make_ladder(source)

    assert float(made.streams[0].times[-1]) == pytest.approx(34.5, abs=0.1)
    assert made.streams[0].sound_s == pytest.approx(25, abs=0.1)


def test_short_pauses_are_filled_too(tmp_path: Path) -> None:
    made = make_ladder(samples.silent(tmp_path / "screen.mp4", "select='lt(mod(t,2),1.3)'", rate=30, duration=14))

    assert max(after - before for before, after in pairwise(made.streams[0].times)) <= 0.6
    assert made.streams[0].durations[:2] == [6.0, 6.0]


def test_a_clock_that_begins_anew_is_no_pause(tmp_path: Path) -> None:
    encoded = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "mpegts")
    paused = ("-vf", "select='lt(t,2)+gt(t,5)'", "-fps_mode", "vfr")
    parts = [tmp_path / "one.ts", tmp_path / "two.ts"]
    samples.ffmpeg(*samples.picture(duration=8), *samples.tone(8), *paused, *encoded, parts[0])
    samples.ffmpeg(*samples.picture(duration=8), *samples.tone(8), *encoded, "-output_ts_offset", 5000, parts[1])
    (tmp_path / "tape.ts").write_bytes(b"".join(part.read_bytes() for part in parts))

    made = make_ladder(tmp_path / "tape.ts")

    assert sum(made.streams[0].durations) == pytest.approx(16, abs=1)


def test_the_last_picture_comes_also_where_the_sound_has_ended(tmp_path: Path) -> None:
    source = tmp_path / "screen.mkv"
    moments = ("-vf", "select='lt(t,8)+eq(n,929)'", "-fps_mode", "vfr")
    samples.ffmpeg(*samples.picture("160x90", 25, 38), *samples.tone(30), *moments, "-c:v", "libx264", source)

    made = make_ladder(source)

    assert float(made.streams[0].times[-1]) == pytest.approx(10 + 929 / 25, abs=0.01)


def test_nothing_is_copied_of_what_has_pauses(tmp_path: Path) -> None:
    source = samples.grouped(tmp_path / "film.mp4", "-vf", "select='lt(n,30)+gt(n,80)'", "-fps_mode", "vfr")

    made = make_ladder(source, qualities=[{"name": "high", "height": 90}], passthrough=True)

    assert not made.result["renditions"][0]["isCopied"]
    assert [line for line in made.log if "stand for longer than players wait" in line]


@pytest.mark.parametrize("segment_type", ["ts", "fmp4"])
def test_pictures_that_come_at_any_time_come_at_that_time(tmp_path: Path, segment_type: str) -> None:
    few = "select='eq(n,0)+eq(n,70)+eq(n,200)+eq(n,205)+eq(n,270)'"
    picture = (*samples.picture("160x90", 10, 30), *samples.tone(30), "-vf", few, "-fps_mode", "vfr")
    samples.ffmpeg(*picture, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", tmp_path / "talk.mkv")

    made = make_ladder(tmp_path / "talk.mkv", segmentType=segment_type, passthrough=False)

    times = [float(time) for time in made.streams[0].times]
    assert all(any(abs(time - moment) < 0.01 for time in times) for moment in (10, 17, 30, 30.5, 37))
    assert all(0 < after - before <= 0.6 for before, after in pairwise(times))
    assert not check(tmp_path / "out").errors


def test_the_picture_before_a_long_pause_is_as_good_as_any(tmp_path: Path) -> None:
    path = tmp_path / "screen.mkv"
    samples.silent(path, STRIPES, "select='lt(n,60)+gte(n,200)'", size="160x90", rate=10, duration=21)

    make_ladder(path, passthrough=False)

    with av.open(str(tmp_path / "out" / "low" / "playlist.m3u8")) as container:
        second_bit = [bytes(frame.planes[0])[15] > 128 for frame in container.decode(video=0)]
    assert second_bit[:60] == [bool(number & 2) for number in range(60)]


def test_the_last_segment_is_as_long_as_what_it_holds(tmp_path: Path) -> None:
    made = make_ladder(samples.thinning_out(tmp_path / "film.mkv"), passthrough=False)

    assert made.streams[0].durations == pytest.approx([6, 3], abs=0.1)
    assert not [line for line in made.log if "ends early" in line]
