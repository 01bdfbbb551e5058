"""Tests of frame grabbing: always the very frame that a plain decoder shows at that moment."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.video.frame import VideoFrame

from tests.workers._samples_images import numbered_video
from tests.workers._samples_video import ffmpeg
from workers._frames import Accuracy, Grab, grab, grab_each
from workers._moments import Moment

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "30")
X265 = ("-c:v", "libx265", "-preset", "ultrafast")
TICK = Fraction(1, 1000)


def two_steps(first: str, *copying: str, encoder: tuple[str, ...] = X264) -> Callable[[Path], Path]:
    """Return a maker that encodes into a file named `first` and copies that, with options, into the sample."""

    def make(path: Path) -> Path:
        stored = numbered_video(path.with_name(first), *encoder)
        ffmpeg(*copying, "-i", stored, "-c", "copy", path)
        return path

    return make


def one_step(*options: str) -> Callable[[Path], Path]:
    """Return a maker that encodes the sample with these options."""
    return lambda path: numbered_video(path, *options)


SAMPLES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "B-frames": ("a.mp4", one_step(*X264)),
    "open groups": ("a.mp4", one_step(*X264, "-x264-params", "open-gop=1:b-pyramid=normal")),
    "open groups in a transport stream": ("a.ts", one_step(*X264, "-x264-params", "open-gop=1")),
    "matroska": ("a.mkv", one_step(*X264)),
    "fragments": ("a.mp4", one_step(*X264, "-movflags", "frag_keyframe+empty_moov")),
    "an edit list": ("a.mp4", two_steps("whole.mp4", "-ss", "0.5")),
    "a later start": ("a.mp4", one_step(*X264, "-output_ts_offset", "5")),
    "a later start in a transport stream": ("a.ts", one_step(*X264, "-output_ts_offset", "5")),
    "variable frame rate": ("a.mp4", one_step("-vf", "select=not(mod(n\\,7))+lt(n\\,9)", "-fps_mode", "vfr", *X264)),
    "one keyframe only": ("a.mp4", one_step(*X264, "-g", "999")),
    "intra refresh": ("a.ts", one_step("-c:v", "libx264", "-x264-params", "intra-refresh=1:keyint=25:bframes=0")),
    "flv": ("a.flv", one_step(*X264)),
    "hevc": ("a.mp4", one_step(*X265, "-x265-params", "log-level=none:bframes=4:open-gop=1:keyint=30")),
    "hevc with sub-layers": ("a.mp4", one_step(*X265, "-x265-params", "log-level=none:temporal-layers=3:bframes=4")),
    "mpeg-4 in avi": ("a.avi", one_step("-c:v", "mpeg4", "-bf", "2")),
    "mpeg-2 program stream": ("a.mpg", one_step("-c:v", "mpeg2video", "-bf", "2")),
    "vp8 with hidden frames": ("a.webm", one_step("-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16")),
    "vp9": ("a.webm", one_step("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")),
    "gif": ("a.gif", one_step("-pix_fmt", "rgb8")),
}


@dataclass(frozen=True)
class Shown:
    """A frame as the plain decoder gave it, and when."""

    time: Fraction
    pixels: bytes


def pixels_of(frame: VideoFrame) -> bytes:
    """Return the visible bytes of every plane; what lies beyond a line's end is the decoder's own business."""
    lines = []
    for plane in frame.planes:
        data = bytes(plane)
        visible = plane.width * (4 if len(frame.planes) == 1 else 1)
        lines += [data[y * plane.line_size : y * plane.line_size + visible] for y in range(plane.height)]
    return b"".join(lines)


def plainly_decoded(path: Path) -> list[Shown]:
    """Decode the whole file with one thread and nothing skipped; times count from the start of the file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        tick = stream.time_base or Fraction(1)
        start = round(max(Fraction(container.start_time or 0, av.time_base), Fraction(0)) / tick)
        return [Shown(((one.pts or 0) - start) * tick, pixels_of(one)) for one in container.decode(stream)]


def grabbed(path: Path, seconds: Fraction, accuracy: Accuracy = "exact") -> Grab:
    """Grab at a time counted from the start of the file."""
    return grab(path, path.name, Moment(seconds), accuracy)


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_frame_is_the_one_a_plain_decoder_shows(kind: str, tmp_path: Path) -> None:
    name, make = SAMPLES[kind]
    path = make(tmp_path / name)
    frames = plainly_decoded(path)
    assert len({one.pixels for one in frames}) == len(frames), "the sample's frames must differ"
    middles = [(one.time + other.time) / 2 for one, other in pairwise(frames)]
    picked = random.Random(7)
    moments = [(frames[0], Fraction(0)), (frames[-1], frames[-1].time + 9)]
    moments += [(frames[at], middles[at]) for at in picked.sample(range(len(middles)), min(12, len(middles)))]
    moments += [(frames[at], frames[at].time + TICK / 4) for at in picked.sample(range(len(frames)), 6)]
    picked.shuffle(moments)
    for wanted, moment in moments:
        assert_shows(grabbed(path, moment), wanted, moment)
    several = list(grab_each(path, name, [Moment(moment) for _, moment in moments], "exact"))
    assert sorted(number for number, _ in several) == list(range(len(moments)))
    for number, found in several:
        assert_shows(found, *moments[number])


def assert_shows(found: Grab, wanted: Shown, moment: Fraction) -> None:
    """Check that a frame is the wanted one."""
    assert abs(found.time - wanted.time) <= TICK, f"asked for {float(moment)} s"
    assert pixels_of(found.frame) == wanted.pixels, f"asked for {float(moment)} s"


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_keyframe_is_the_last_one_up_to_the_moment(name: str, tmp_path: Path) -> None:
    path = numbered_video(tmp_path / name, *X264, "-x264-params", "scenecut=0")
    frames = plainly_decoded(path)
    for moment, number in [(Fraction(0), 0), (Fraction("1.1"), 0), (Fraction("1.3"), 30), (Fraction("2.9"), 60)]:
        found = grabbed(path, moment, "keyframe")
        assert pixels_of(found.frame) == frames[number].pixels
        assert not found.is_past_end


def test_the_first_frame_of_a_matroska_file_that_lost_its_index_is_not_skipped(tmp_path: Path) -> None:
    silent = numbered_video(tmp_path / "silent.mkv", *X264)
    whole = tmp_path / "whole.mkv"
    sound = ("-f", "lavfi", "-i", "sine=duration=3", "-c:a", "aac")
    ffmpeg("-itsoffset", 0.1, "-i", silent, *sound, "-c:v", "copy", whole)
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 7 // 10])
    frames = plainly_decoded(whole)
    for accuracy in ("exact", "keyframe"):
        assert pixels_of(grabbed(path, Fraction(0), accuracy).frame) == frames[0].pixels


def test_a_stream_without_any_times_is_counted_through(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "a.h264", *X264)
    frames = plainly_decoded(path)
    assert pixels_of(grabbed(path, Fraction("1.01")).frame) == frames[25].pixels


def test_frames_of_h264_in_avi_are_counted_in_the_order_shown(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "a.avi", *X264)
    frames = plainly_decoded(path)
    for number in (0, 1, 2, 3, 20, 40, 41, 42, 74):
        assert pixels_of(grabbed(path, Fraction(number, 25)).frame) == frames[number].pixels, number


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_only_a_moment_after_the_last_frame_is_past_the_end(name: str, tmp_path: Path) -> None:
    path = numbered_video(tmp_path / name, *X264, seconds=1)
    assert not grabbed(path, Fraction("0.99")).is_past_end
    assert grabbed(path, Fraction("1.1")).is_past_end


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.h264"])
def test_several_keyframes_are_those_taken_one_by_one(name: str, tmp_path: Path) -> None:
    path = numbered_video(tmp_path / name, *X264, "-x264-params", "scenecut=0")
    moments = [Moment(Fraction(tenths, 10)) for tenths in (29, 0, 13, 14, 11, 90)]
    several = dict(grab_each(path, name, moments, "keyframe"))
    for number, moment in enumerate(moments):
        alone = grab(path, name, moment, "keyframe")
        assert (several[number].time, several[number].is_past_end) == (alone.time, alone.is_past_end)
        assert pixels_of(several[number].frame) == pixels_of(alone.frame)


def test_a_share_is_of_the_duration_and_its_whole_is_the_last_frame(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "a.mp4", *X264, seconds=2)
    half = grab(path, path.name, Moment(Fraction(1, 2), is_share=True), "exact")
    whole = grab(path, path.name, Moment(Fraction(1), is_share=True), "exact")
    assert (half.time, whole.time) == (Fraction(1), Fraction(49, 25))
    assert not whole.is_past_end
