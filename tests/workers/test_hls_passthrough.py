"""Renditions that are copied from the source: only where every player is served as well as by encoding."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from tests.workers import _samples_video as samples
from tests.workers._hls_runs import make_ladder
from workers._hls_ladder import Quality, climb
from workers._hls_passthrough import choose_passage
from workers._hls_plan import Ladder, Passage, form_for
from workers._probe import probe
from workplatform.testing import inline_job

TWO = ({"name": "high", "height": 90}, {"name": "low", "height": 46})
Make = Callable[[Path], Path]


def pictures_of(path: Path) -> list[bytes]:
    """Decode a video; return every picture of it."""
    with av.open(str(path)) as container:
        return [bytes(frame.reformat(format="rgb24").planes[0]) for frame in container.decode(video=0)]


def word_after(option: str, command: str) -> str:
    """Return the value of an option of a command in the log."""
    words = shlex.split(command)
    return words[words.index(option) + 1]


def planned(source: Path, *, codec: Any = "h264", wish: Any = True, quality: Any = TWO[0]) -> Passage | str:
    """Return how a video is copied, or what is logged about why it is not."""
    video = probe(source, source.name)
    rungs = climb([Quality.model_validate(quality)], video.width, video.height, codec)
    ladder = Ladder(tuple(rungs), form_for(video.colour, codec, "ts", tone_map=True))
    with inline_job(source.parent, preload=("workers._hls_making",)) as run:
        chosen = choose_passage(run.job, source, video, ladder, wish)
    return chosen.passage or "".join(run.lines)


@pytest.mark.parametrize("segment_type", ["ts", "fmp4"])
def test_a_video_that_fits_is_copied_and_the_others_are_cut_where_it_is(tmp_path: Path, segment_type: str) -> None:
    source = samples.grouped(tmp_path / "film.mp4", "-bf", 4)

    made = make_ladder(source, qualities=TWO, segmentType=segment_type)

    assert [rendition["isCopied"] for rendition in made.result["renditions"]] == [True, False]
    assert made.streams[0].durations == made.streams[1].durations == [6.0, 6.0, 1.0]
    assert pictures_of(tmp_path / "out" / "high" / "playlist.m3u8") == pictures_of(source)
    assert made.streams[0].sound_s == pytest.approx(13, abs=0.1)
    again = make_ladder(source, qualities=TWO, segmentType=segment_type)
    assert again.result["skipped"] and again.result["renditions"][0]["isCopied"]


def test_no_picture_is_lost_beside_a_copy_where_the_sound_ends_early(tmp_path: Path) -> None:
    source = samples.grouped(tmp_path / "film.ts", "-af", "atrim=end=11", rate=10)

    made = make_ladder(source, qualities=TWO)

    assert made.result["renditions"][0]["isCopied"]
    assert [len(stream.times) for stream in made.streams] == [130, 130]
    assert made.streams[0].sound_s == pytest.approx(13, abs=0.05)


def test_nothing_is_copied_where_that_is_not_wanted(tmp_path: Path) -> None:
    made = make_ladder(samples.grouped(tmp_path / "film.mp4"), qualities=TWO, passthrough=False)

    assert [rendition["isCopied"] for rendition in made.result["renditions"]] == [False, False]


def test_keyframes_at_any_distance_become_segments_of_about_six_seconds(tmp_path: Path) -> None:
    places = "0,1.3,1.9,3.1,4.44,5.92,6.04,7.8,8.88,10.4,11.6,12.2"
    source = samples.grouped(tmp_path / "film.mp4", "-force_key_frames", places, "-g", 250)

    made = make_ladder(source, qualities=TWO)

    assert made.result["renditions"][0]["isCopied"]
    assert made.streams[1].durations == pytest.approx([6.04, 6.16, 0.8], abs=0.001)


def test_a_rendition_that_is_alone_needs_no_encoder(tmp_path: Path) -> None:
    made = make_ladder(samples.grouped(tmp_path / "film.mp4"), qualities=TWO[:1])

    assert made.result["renditions"][0]["isCopied"] and "libx264" not in made.log[0]


def test_a_copy_leaves_all_threads_to_what_is_encoded(tmp_path: Path) -> None:
    source = samples.grouped(tmp_path / "film.mp4")

    beside = make_ladder(source, qualities=TWO)
    alone = make_ladder(source, qualities=TWO[1:], overwrite=True)

    assert beside.result["renditions"][0]["isCopied"]
    assert word_after("-threads:v:1", beside.log[0]) == word_after("-threads:v:0", alone.log[0])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("film.ts", ("-output_ts_offset", 100_000)),
        ("film.mkv", ()),
        ("film.flv", ()),
        ("film.mov", ("-g", 1)),
        ("pieces.mp4", ("-movflags", "+frag_keyframe+empty_moov")),
    ],
)
def test_other_containers_are_copied_too(tmp_path: Path, name: str, options: tuple[object, ...]) -> None:
    made = make_ladder(samples.grouped(tmp_path / name, *options), qualities=TWO, passthrough=True)

    assert made.result["renditions"][0]["isCopied"]
    assert made.streams[0].durations == [6.0, 6.0, 1.0]


def test_the_frame_rate_of_television_drifts_from_the_grid_without_harm(tmp_path: Path) -> None:
    passage = planned(samples.grouped(tmp_path / "film.mkv", "-g", 60, rate="30000/1001", duration=20))

    assert isinstance(passage, Passage)
    assert passage.cuts == pytest.approx((6.006, 12.012, 18.018), abs=0.002)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: samples.grouped(path, "-x264opts", "open-gop=1"), "keyframes that decode by themselves"),
        (lambda path: samples.grouped(path, "-g", 250), "more than 6 s apart"),
        (lambda path: samples.grouped(path, "-color_range", "pc", "-pix_fmt", "yuvj420p", duration=1), "in yuvj420p"),
        (lambda path: samples.grouped(path, "-pix_fmt", "yuv420p10le", duration=1), "in yuv420p10le"),
        (lambda path: samples.grouped(path, "-c:v", "mpeg4", "-bf", 0, duration=1), "is mpeg4"),
        (lambda path: samples.grouped(path, "-vf", "setsar=4/3", duration=1), "not square"),
        (lambda path: samples.grouped(path, "-r", 120, duration=1), "more pictures a second"),
        (samples.interlaced, "interlaced"),
        (lambda path: samples.with_sound(path, picture_s=2, sound_s=5), "goes on after its last picture"),
        (lambda path: samples.plain(path, size="320x180", duration=1), "none has the size"),
    ],
)
def test_what_players_would_not_take_as_it_is_is_encoded(tmp_path: Path, make: Make, reason: str) -> None:
    assert reason in str(planned(make(tmp_path / "film.mp4")))


def test_a_turned_picture_is_encoded(tmp_path: Path) -> None:
    plain = samples.grouped(tmp_path / "stored.mp4", duration=1)
    samples.ffmpeg("-display_rotation", 180, "-i", plain, "-c", "copy", tmp_path / "phone.mp4")

    assert "is turned" in str(planned(tmp_path / "phone.mp4"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("trimmed.mp4", ("-ss", 1.1)),
        ("film.h264", ("-an", "-f", "h264")),
        ("film.avi", ("-an",)),
    ],
)
def test_packets_without_times_or_with_hidden_pictures_are_not_copied(
    tmp_path: Path, name: str, options: tuple[object, ...]
) -> None:
    plain = samples.grouped(tmp_path / "film.mp4")
    source = tmp_path / name
    before = options[:2] if "-ss" in options else ()
    samples.ffmpeg(*before, "-i", plain, "-c", "copy", *options[len(before) :], source)

    assert "no rendition is copied" in str(planned(source))


def test_a_broken_tail_and_a_clock_that_starts_again_come_out_right(tmp_path: Path) -> None:
    plain = samples.grouped(tmp_path / "film.mp4", "-movflags", "+faststart")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(plain.read_bytes()[: plain.stat().st_size * 3 // 4])
    twice = tmp_path / "twice.ts"
    twice.write_bytes(samples.rewrapped(plain, tmp_path / "once.ts").read_bytes() * 2)

    assert 6 < make_ladder(cut, qualities=TWO).result["duration"] < 12
    assert "cannot be cut" in str(planned(twice))


def test_a_ceiling_is_kept_by_copies_too(tmp_path: Path) -> None:
    source = samples.grouped(tmp_path / "film.mp4")
    bits = 8 * source.stat().st_size / 13

    assert isinstance(planned(source, quality={**TWO[0], "bitrate": round(2 * bits)}), Passage)
    assert "bits per second" in str(planned(source, quality={**TWO[0], "bitrate": round(bits / 4)}))


def test_an_unusual_bitrate_is_copied_only_on_demand(tmp_path: Path) -> None:
    source = samples.grouped(tmp_path / "film.mp4", "-preset", "ultrafast", "-crf", 1, duration=4)

    assert planned(source, wish="auto") == ""
    assert isinstance(planned(source, wish=True), Passage)


@pytest.mark.parametrize(("is_open", "copied"), [(1, False), (0, True)])
def test_hevc_is_copied_if_its_keyframes_are_independent(tmp_path: Path, is_open: int, copied: bool) -> None:
    params = f"log-level=error:keyint=25:min-keyint=25:open-gop={is_open}"
    encoder = ("-c:v", "libx265", "-preset", "ultrafast", "-bf", 3, "-x265-params", params)
    source = samples.grouped(tmp_path / "film.mp4", *encoder, duration=8)

    assert isinstance(planned(source, codec="hevc"), Passage) is copied
