"""Tests of the job type `preview` on real files."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.storage.origins import serving
from tests.workers._clocks import clock_video, second_of
from tests.workers._numbered import STRIPES, numbers
from tests.workers._samples_images import BLUE, CORNERS, GREEN, RED, WHITE, assert_corners, corners_video
from tests.workers._samples_video import ffmpeg, interlaced
from workers import _clips
from workers._previews import make_preview
from workers._scenes import Candidate, best_starts, sections
from workers.preview import PreviewPayload, preview
from workplatform.children import ChildPool
from workplatform.errors import BadInputError
from workplatform.testing import inline_job

_CHILDREN = ChildPool(preload=("workers._previews",))
_ENCODED = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


@dataclass(frozen=True)
class Clip:
    """A finished job: its result on the wire, and the pictures of its clip."""

    result: dict[str, Any]
    pictures: list[Image.Image]
    rate: float

    @property
    def seconds(self) -> list[int]:
        """The seconds of the video that the pictures show, each once."""
        return sorted({second_of(picture) for picture in self.pictures})


@pytest.fixture(scope="module", autouse=True)
def children() -> Iterator[None]:
    """End the warm children that all these tests share."""
    yield
    _CHILDREN.close()


def made(root: Path, **payload: Any) -> dict[str, Any]:
    """Run the job; return its result on the wire."""
    validated = PreviewPayload.model_validate({"outputPath": "out.mp4", **payload})
    with inline_job(root, children=_CHILDREN) as run:
        return preview(validated, run.job).model_dump(mode="json", by_alias=True)


def clipped(video: Path, output: str = "out.mp4", **fields: Any) -> Clip:
    """Run the job and decode its clip; check what holds for every one."""
    result = made(video.parent, videoPath=video.name, outputPath=output, **fields)
    path = video.parent / output
    assert result["size"] == path.stat().st_size
    pictures, rate = decoded_mp4(path) if path.suffix == ".mp4" else decoded_animation(path)
    assert {picture.size for picture in pictures} == {(result["width"], result["height"])}
    assert len(pictures) / rate == pytest.approx(result["duration"], abs=0.02)
    spans = [cut["end"] - cut["start"] for cut in result["cuts"]]
    assert sum(spans) == pytest.approx(result["duration"], abs=0.01)
    return Clip(result, pictures, rate)


def decoded_mp4(path: Path) -> tuple[list[Image.Image], float]:
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "it starts before it is there as a whole"
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert isinstance(stream, av.VideoStream) and stream.average_rate
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        return [frame.to_image() for frame in container.decode(stream)], float(stream.average_rate)  # type: ignore[no-untyped-call]


def decoded_animation(path: Path) -> tuple[list[Image.Image], float]:
    """Decode an animation; pictures that did not change may have been put together."""
    pictures, length_ms = [], 0
    with Image.open(path) as image:
        assert image.format == path.suffix[1:].upper()
        assert image.info.get("loop") == 0, "it plays on and on"
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            length_ms += image.info["duration"]
            pictures.append(image.convert("RGB"))
    return pictures, 1000 * len(pictures) / length_ms


def scenes(path: Path, *kinds: str, gop: int = 10) -> Path:
    """Make a video of scenes of 4 s, each of its kind, with keyframes a second or `gop` frames apart."""
    sources = {
        "black": "color=black:size=96x54:rate=10:duration=4",
        "card": "color=0x102040:size=96x54:rate=10:duration=4,drawbox=x=20:y=22:w=50:h=4:color=white:t=fill",
        "still": "testsrc2=size=96x54:rate=10:duration=0.1,loop=39:1,setpts=N/10/TB",
        "lively": "testsrc2=size=96x54:rate=10:duration=4,hue=H=t",
    }
    chains = [f"{sources[kind]},format=yuv420p,setsar=1[s{number}]" for number, kind in enumerate(kinds)]
    joined = "".join(f"[s{number}]" for number in range(len(kinds)))
    graph = ";".join([*chains, f"{joined}concat=n={len(kinds)}"])
    ffmpeg("-filter_complex", graph, *_ENCODED, "-g", gop, path)
    return path


@pytest.fixture(scope="module")
def ticking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 20 s that gets brighter every second."""
    return clock_video(tmp_path_factory.mktemp("ticking") / "film.mp4")


@pytest.mark.parametrize("suffix", ["mp4", "webp", "gif"])
def test_the_extension_chooses_the_format(ticking: Path, suffix: str) -> None:
    clip = clipped(ticking, f"deep/er/clip.{suffix}", duration=2, width=48)
    ((start, end),) = [(cut["start"], cut["end"]) for cut in clip.result["cuts"]]
    assert (clip.result["width"], clip.result["height"]) == (48, 26 if suffix == "mp4" else 27)
    assert start >= 2 and end <= 18 and end - start == 2
    assert clip.result["duration"] == 2
    assert clip.seconds == [second for second in range(20) if start - 0.9 < second < end]


def test_a_video_no_longer_than_the_clip_is_taken_whole(tmp_path: Path) -> None:
    clip = clipped(clock_video(tmp_path / "a.mp4", seconds=3), duration=5, cuts=3)
    assert clip.result["cuts"] == [{"start": 0, "end": 3}]
    assert clip.seconds == [0, 1, 2]


def test_cuts_are_spread_over_the_video_in_order(ticking: Path) -> None:
    clip = clipped(ticking, duration=4.5, cuts=3)
    for cut, (first, last) in zip(clip.result["cuts"], ((2, 5.9), (7.3, 11.2), (12.6, 16.5)), strict=True):
        assert first <= cut["start"] <= last
    assert [round(cut["end"] - cut["start"], 3) for cut in clip.result["cuts"]] == [1.5, 1.5, 1.5]
    assert clip.result["duration"] == 4.5


@pytest.mark.parametrize(
    "kinds",
    [
        ("black", "card", "lively", "still", "black"),
        ("card", "still", "still", "lively", "card"),
        ("black", "lively", "black", "black", "card"),
    ],
)
def test_the_clip_is_of_what_is_neither_black_nor_a_card_nor_still(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    video = scenes(tmp_path / "a.mp4", *kinds)
    (cut,) = clipped(video, duration=2, width=96).result["cuts"]
    begins = 4 * kinds.index("lively")
    assert begins <= cut["start"] < begins + 4


def test_a_video_of_one_keyframe_is_looked_into(tmp_path: Path) -> None:
    video = scenes(tmp_path / "a.mp4", "black", "card", "black", "lively", "black", gop=1000)
    (cut,) = clipped(video, duration=2, width=96).result["cuts"]
    assert 12 <= cut["start"] < 16


def test_no_cut_is_of_a_dark_part_while_there_are_others(tmp_path: Path) -> None:
    video = scenes(tmp_path / "a.mp4", "black", "black", "black", "lively", "lively")
    first, second = clipped(video, duration=2, cuts=2, width=96).result["cuts"]
    assert 12 <= first["start"] < first["end"] <= second["start"] < 20


@pytest.mark.parametrize("worth", [0.5, 0])
def test_of_starts_as_good_the_middle_one_is_taken(worth: float) -> None:
    parts = sections(Fraction(100), Fraction(4), 1)
    candidates = [Candidate(Fraction(second), worth) for second in (12, 47, 80)]
    assert list(best_starts(parts, candidates, lambda _: 10.0, apart=Fraction(4))) == [47]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.ts", ()),
        ("a.mkv", ()),
        ("live.mkv", ("-live", "1")),
        ("a.avi", ()),
        ("late.ts", ("-output_ts_offset", "5000")),
        ("fragments.mp4", ("-movflags", "frag_keyframe+empty_moov")),
    ],
)
def test_the_cut_is_where_the_result_says(ticking: Path, tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    video = tmp_path / name
    ffmpeg("-i", ticking, "-c", "copy", *options, video)
    clip = clipped(video, duration=2)
    (cut,) = clip.result["cuts"]
    # AVI counts frames as they are decoded, two of them before they are shown.
    slack = 0.3 if name == "a.avi" else 0.001
    assert abs(second_of(clip.pictures[0]) - cut["start"]) < 1 + slack
    assert second_of(clip.pictures[-1]) <= cut["end"] + slack
    assert len(clip.seconds) in (2, 3)


@pytest.mark.parametrize(
    ("name", "rate"), [("film.mkv", "30"), ("film.mkv", "30000/1001"), ("film.webm", "24000/1001")]
)
def test_no_picture_is_lost_or_doubled_where_times_are_rounded(tmp_path: Path, name: str, rate: str) -> None:
    codec = _ENCODED if name.endswith("mkv") else ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", 8)
    stripes = ("-vf", STRIPES, "-g", 30)
    ffmpeg("-f", "lavfi", "-i", f"color=gray:size=160x90:rate={rate}:duration=9", *stripes, *codec, tmp_path / name)

    made(tmp_path, videoPath=name, width=160, duration=4)

    seen = [number for _, number in numbers(tmp_path / "out.mp4")]
    assert seen == list(range(seen[0], seen[0] + round(4 * Fraction(rate))))


def test_one_keyframe_is_enough(tmp_path: Path) -> None:
    clip = clipped(clock_video(tmp_path / "a.mp4", seconds=8, gop=1000), duration=2)
    (cut,) = clip.result["cuts"]
    assert 0.8 <= cut["start"] <= 5.2
    assert clip.seconds[0] == int(cut["start"])


def test_a_turned_video_comes_out_upright(tmp_path: Path) -> None:
    stored = corners_video(tmp_path / "stored.mp4")
    ffmpeg("-display_rotation", 90, "-i", stored, "-c", "copy", tmp_path / "a.mp4")
    for output in ("clip.mp4", "clip.gif"):
        clip = clipped(tmp_path / "a.mp4", output, width=96)
        assert clip.pictures[0].size == (96, 160)
        assert_corners(clip.pictures[0], GREEN, WHITE, RED, BLUE, within=30)


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("sar.mp4", ("-vf", "setsar=2/1", "-pix_fmt", "yuv420p"), (100, 30)),
        ("odd.mkv", ("-vf", "scale=161:97", "-c:v", "ffv1"), (100, 60)),
        ("422.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv422p10le"), (100, 60)),
    ],
)
def test_every_kind_of_pixel_comes_out(
    tmp_path: Path, name: str, options: tuple[str, ...], size: tuple[int, int]
) -> None:
    clip = clipped(corners_video(tmp_path / name, *options), width=101)
    assert clip.pictures[0].size == size
    assert_corners(clip.pictures[0], *CORNERS, within=20)


@pytest.mark.parametrize(
    ("rate", "output", "played"),
    [(120, "a.mp4", 30), (120, "a.gif", 12.5), (50, "a.webp", 15), (1, "b.mp4", 1), (24, "c.mp4", 24)],
)
def test_clips_have_no_more_pictures_a_second_than_they_need(
    tmp_path: Path, rate: int, output: str, played: float
) -> None:
    video = tmp_path / "film.mkv"
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=96x54:rate={rate}:duration=3", *_ENCODED, video)
    clip = clipped(video, output, duration=2)
    assert clip.rate == pytest.approx(played, rel=0.02)
    assert clip.result["duration"] == 2


@pytest.mark.parametrize("output", ["a.mp4", "a.gif"])
def test_a_small_video_is_not_enlarged(tmp_path: Path, output: str) -> None:
    stored = corners_video(tmp_path / "stored.mp4")
    ffmpeg("-display_rotation", 90, "-i", stored, "-c", "copy", tmp_path / "film.mp4")
    assert clipped(tmp_path / "film.mp4", output).pictures[0].size == (96, 160)


def test_half_pictures_become_whole_ones(tmp_path: Path) -> None:
    assert clipped(interlaced(tmp_path / "a.mp4"), duration=1).result["duration"] == 1


def test_a_broken_tail_is_left_out(ticking: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    ffmpeg("-i", ticking, "-c", "copy", "-movflags", "+faststart", whole)
    data = whole.read_bytes()
    pictures = data.index(b"mdat")
    (tmp_path / "broken.mp4").write_bytes(data[: (len(data) + pictures) // 2])
    clip = clipped(tmp_path / "broken.mp4", duration=4, cuts=2)
    assert [cut["end"] - cut["start"] for cut in clip.result["cuts"]] == [2, 2]
    assert 2 <= clip.result["cuts"][0]["start"] < clip.result["cuts"][1]["end"] <= 11


def test_of_a_film_that_is_mostly_missing_the_beginning_is_taken(ticking: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    ffmpeg("-i", ticking, "-c", "copy", "-movflags", "+faststart", whole)
    data = whole.read_bytes()
    pictures = data.index(b"mdat")
    there = pictures + (len(data) - pictures) // 3
    (tmp_path / "holes.mp4").write_bytes(data[:there] + bytes(len(data) - there))
    clip = clipped(tmp_path / "holes.mp4", duration=4)
    [cut] = clip.result["cuts"]
    assert cut["start"] == 0 and cut["end"] >= 2
    assert clip.seconds[:2] == [0, 1]


def test_stages_and_progress_are_told(ticking: Path, tmp_path: Path) -> None:
    payload = PreviewPayload(video_path="film.mp4", output_path="a.webp", duration=2, cuts=2)
    steps = list(make_preview(ticking, tmp_path / "a.webp", payload))
    assert [step.stage for step in steps] == sorted((step.stage for step in steps), reverse=True)
    for stage in ("looking", "encoding"):
        shares = [step.share for step in steps if step.stage == stage]
        assert shares == sorted(shares) and shares[-1] == pytest.approx(1) and len(shares) > 5


def test_of_a_film_elsewhere_only_a_part_is_fetched(tmp_path: Path) -> None:
    noise = "testsrc2=size=320x180:rate=10:duration=60,noise=alls=60:allf=t"
    film = tmp_path / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", noise, *_ENCODED, "-crf", 12, "-g", 50, film)
    local = made(tmp_path, videoPath="film.mp4", outputPath="here.webp", duration=1, width=96)
    with serving(film) as origin:
        result = made(tmp_path, videoPath=origin.url, outputPath="there.webp", duration=1, width=96)
    assert result == {**local, "outputPath": "there.webp"}
    assert (tmp_path / "there.webp").read_bytes() == (tmp_path / "here.webp").read_bytes()
    assert origin.sent < film.stat().st_size * 2 / 3


def test_a_gif_too_large_to_be_made_is_refused(ticking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clips, "_MOST_GIF_PIXELS", 48 * 27 * 10)
    payload = PreviewPayload(video_path="film.mp4", output_path="a.gif", duration=2, width=48)
    with pytest.raises(BadInputError, match=r"room for 1 s: give less width or duration"):
        list(make_preview(ticking, tmp_path / "a.gif", payload))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"outputPath": "a.avi"}, r"must end in \.mp4, \.webp, \.gif"),
        ({"cuts": 5}, "give at most 4 cuts"),
        ({"duration": 0}, "duration"),
        ({"width": 0}, "width"),
        ({"height": 90}, "height"),
    ],
)
def test_a_wrong_wish_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        PreviewPayload.model_validate({"videoPath": "a", "outputPath": "a.mp4", **fields})


@pytest.mark.parametrize("content", [b"", b"no video" * 100, b"#EXTM3U\nfile:///etc/passwd\n"])
def test_what_is_no_video_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(BadInputError, match=r"not a video: .*a\.mp4"):
        made(tmp_path, videoPath="a.mp4", outputPath="out/a.webp")
    assert not (tmp_path / "out").exists()
