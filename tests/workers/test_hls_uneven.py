"""HLS of videos whose pictures come at uneven times: slides, pauses, rates that vary."""

from pathlib import Path

import av
import pytest

from tests.workers import _samples_video as samples
from tests.workers._hls_runs import make_ladder
from workplatform.hls_check import check


def test_slides_and_their_sound_are_in_the_same_segments(tmp_path: Path) -> None:
    made = make_ladder(samples.slides(tmp_path / "talk.mp4", seconds_each=9, duration=54))

    assert made.streams[0].durations == [9.0] * 6
    assert not check(tmp_path / "out").errors


@pytest.mark.parametrize("segment_type", ["ts", "fmp4"])
def test_pictures_that_come_at_any_time_come_at_that_time(tmp_path: Path, segment_type: str) -> None:
    few = "select='eq(n,0)+eq(n,70)+eq(n,200)+eq(n,205)+eq(n,270)'"
    picture = (*samples.picture("160x90", 10, 30), *samples.tone(30), "-vf", few, "-fps_mode", "vfr")
    samples.ffmpeg(*picture, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", tmp_path / "talk.mkv")

    made = make_ladder(tmp_path / "talk.mkv", segmentType=segment_type, passthrough=False)

    assert [float(time) for time in made.streams[0].times] == pytest.approx([10, 17, 30, 30.5, 37], abs=0.01)
    assert not check(tmp_path / "out").errors


def test_the_picture_before_a_long_pause_is_as_good_as_any(tmp_path: Path) -> None:
    path = tmp_path / "screen.mkv"
    stripes = "geq=lum='16+219*mod(floor(N/pow(2,floor(X*16/W))),2)':cb=128:cr=128"  # the frame's number in binary
    samples.silent(path, stripes, "select='lt(n,60)+gte(n,200)'", size="160x90", rate=10, duration=21)

    make_ladder(path, passthrough=False)

    with av.open(str(tmp_path / "out" / "low" / "playlist.m3u8")) as container:
        second_bit = [bytes(frame.planes[0])[15] > 128 for frame in container.decode(video=0)]
    assert second_bit[:60] == [bool(number & 2) for number in range(60)]


def test_the_last_segment_is_as_long_as_what_it_holds(tmp_path: Path) -> None:
    made = make_ladder(samples.thinning_out(tmp_path / "film.mkv"), passthrough=False)

    assert made.streams[0].durations == pytest.approx([6, 3], abs=0.1)
    assert not [line for line in made.log if "ends early" in line]
