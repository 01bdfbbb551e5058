"""Encoding to a size and to a quality, and what becomes of HDR."""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.workers import _samples_video as samples
from tests.workers._encode_runs import make
from workers._encode_search import search
from workers._encode_size import Budget, _next_bitrate
from workplatform.errors import BadInputError

PQ = 16


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds that need many bits."""
    path = tmp_path_factory.mktemp("noisy") / "noisy.mp4"
    picture = "testsrc2=size=160x90:rate=25:duration=4,noise=alls=20:allf=t"
    samples.ffmpeg(
        *("-f", "lavfi", "-i", picture), *samples.tone(4), "-c:v", "libx264", "-preset", "ultrafast", "-crf", 10, path
    )
    return path


@pytest.fixture(scope="module")
def hdr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HDR10 with its mastering data: a grey of 100 candela per square metre, which is the white of SDR."""
    path = tmp_path_factory.mktemp("hdr") / "hdr.mp4"
    light = "color=gray:size=160x90:rate=25:duration=0.4,format=yuv420p10le,geq=lum=509:cb=512:cr=512"
    colours = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv"
    master = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
    options = ("-x265-params", f"log-level=error:hdr10=1:repeat-headers=1:{master}")
    samples.ffmpeg(
        "-f", "lavfi", "-i", light, "-vf", colours, "-c:v", "libx265", "-preset", "ultrafast", *options, path
    )
    return path


@pytest.mark.parametrize(
    ("name", "codec"), [("out.mp4", "h264"), ("out.mkv", "hevc"), ("out.webm", "vp9"), ("out.mp4", "av1")]
)
def test_a_target_size_is_hit_and_never_exceeded(noisy: Path, name: str, codec: str) -> None:
    made = make(noisy, name, codec=codec, targetSize="150k", preset="veryfast")

    assert 0.95 * 150_000 <= made.result["size"] <= 150_000
    assert made.result["crf"] is None
    assert (len(made.times), made.result["duration"]) == (100, pytest.approx(4, abs=0.1))
    assert sorted(path.name for path in noisy.parent.glob("*pass*")) == [], "the log of the passes is elsewhere"


def test_a_size_too_small_to_be_watched_is_refused_with_the_least_that_is_possible(noisy: Path) -> None:
    with pytest.raises(BadInputError, match=r"targetSize: 9,000 bytes are too few .* at least ([\d.]+k)") as caught:
        make(noisy, targetSize=9000)

    least = caught.value.message.partition("at least ")[2].split()[0]
    assert make(noisy, targetSize=least, preset="medium").result["success"]


def test_the_size_of_a_part_is_that_of_the_part(noisy: Path) -> None:
    made = make(noisy, targetSize="60k", trim={"start": 1, "end": 3})

    assert 57_000 <= made.result["size"] <= 60_000
    assert len(made.times) == 50


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_more_room_than_a_codec_can_fill_is_left(noisy: Path, codec: str) -> None:
    made = make(noisy, codec=codec, targetSize="1G", trim={"end": 0.4})

    assert len(made.times) == 10
    assert made.result["size"] < 10_000_000


def test_sounds_that_turn_out_small_leave_their_room_to_the_picture() -> None:
    budget = Budget(300_000, length_s=10, frames=250, sounds_bitrate=128_000, bitrate_max=10**8)
    silent = {120_000: 160_000}

    assert 200_000 < _next_bitrate(silent, budget) < 250_000


def test_a_target_quality_is_found_and_told(noisy: Path) -> None:
    made = make(noisy, targetQuality=80)

    assert made.result["vmaf"] == pytest.approx(80, abs=3)
    assert made.result["crf"] is not None
    assert any(line.startswith("crf 23: VMAF ") for line in made.log)


def test_a_part_of_a_broadcast_with_one_keyframe_gets_its_quality(noisy: Path) -> None:
    broadcast = noisy.with_name("broadcast.ts")
    samples.ffmpeg("-i", noisy, "-c:v", "libx264", "-g", 999, "-sc_threshold", 0, "-an", broadcast)

    made = make(broadcast, targetQuality=80, trim={"start": "2"})

    assert (len(made.times), made.result["vmaf"]) == (50, pytest.approx(82, abs=3))


def test_a_whole_broadcast_with_one_keyframe_is_sampled(tmp_path: Path) -> None:
    one_keyframe = ("-c:v", "libx264", "-g", 9999, "-sc_threshold", 0)
    film = samples.plain(tmp_path / "film.mp4", size="160x90", rate=5, duration=12)
    samples.ffmpeg("-i", film, *one_keyframe, tmp_path / "film.ts")

    assert make(tmp_path / "film.ts", targetQuality=80).result["vmaf"] == pytest.approx(82, abs=4)


def test_the_same_pictures_of_a_broadcast_with_sound_are_compared(noisy: Path) -> None:
    broadcast = noisy.with_name("sound.ts")
    samples.ffmpeg("-i", noisy, "-c:v", "copy", broadcast)

    made = make(broadcast, targetQuality=80, trim={"start": 1.01})

    assert made.result["vmaf"] == pytest.approx(80, abs=4)


@pytest.mark.parametrize(
    "curve",
    [
        lambda crf: 100 - (crf / 7) ** 2.2 * 0.7,
        lambda crf: 108 - 0.9 * crf,
        lambda crf: 100 * math.exp(-((crf / 45) ** 4)),
    ],
)
@pytest.mark.parametrize("target", [70, 85, 93, 97])
def test_the_search_ends_at_or_just_above_the_target_within_six_tries(
    curve: Callable[[float], float], target: float
) -> None:
    asked: list[float] = []

    def score(crf: float) -> float:
        asked.append(crf)
        return min(100.0, curve(crf))

    found, reached = search(score, target, low=8, high=45, start=23, step=0.5)

    assert len(asked) == len(set(asked)) <= 6
    assert reached == score(found) and target <= reached
    assert reached <= target + 0.4 or score(found + 0.5) < target or found == 45


def test_the_last_try_comes_near_even_where_scores_drop_suddenly() -> None:
    known = [(8, 100.0), (23, 99.84), (33, 93.85), (37, 87.98), (38.5, 85.52), (39.5, 83.80), (43, 72.90), (45, 66.0)]

    def score(crf: float) -> float:
        (left, high), (right, low) = next(pair for pair in pairwise(known) if pair[0][0] <= crf <= pair[1][0])
        return high + (low - high) * (crf - left) / (right - left)

    assert 88 <= search(score, 88, low=8, high=45, start=23, step=0.5)[1] < 89.5


def test_scores_that_follow_no_curve_are_halved_until_the_target_is_near() -> None:
    known = {
        23: 99.51,
        39.5: 88.90,
        40: 88.43,
        41.5: 85.06,
        42.5: 84.02,
        43: 80.99,
        43.5: 79.72,
        44.5: 78.14,
        45: 78.06,
    }

    assert search(lambda crf: known[crf], 80, low=8, high=45, start=23, step=0.5) == (43, 80.99)


@pytest.mark.parametrize(("level", "found"), [(99, 45), (10, 8)])
def test_a_target_out_of_reach_gives_the_end_of_the_range(level: float, found: float) -> None:
    slope = -0.01
    assert search(lambda crf: level + slope * crf, 50, low=8, high=45, start=23, step=0.5)[0] == found


def test_hdr_becomes_sdr_in_h264(hdr: Path) -> None:
    made = make(hdr)

    assert (made.pixels, made.transfer) == ("yuv420p", 1)
    assert (made.result["toneMapped"], made.result["hdr"]) == (True, False)
    assert b"mdcv" not in made.path.read_bytes(), "nothing says how bright it was meant to be"


@pytest.mark.parametrize("codec", ["hevc", "av1", "vp9"])
def test_hdr_stays_hdr_in_newer_codecs_with_what_screens_need_to_know(hdr: Path, codec: str) -> None:
    made = make(hdr, codec=codec)

    assert (made.pixels, made.transfer) == ("yuv420p10le", PQ)
    assert (made.result["toneMapped"], made.result["hdr"], made.result["bitDepth"]) == (False, True, 10)
    content = made.path.read_bytes()
    assert b"mdcv" in content and b"clli" in content


def test_hdr_is_made_sdr_where_that_is_asked_for(hdr: Path) -> None:
    assert make(hdr, codec="hevc", toneMap=True).transfer == 1
