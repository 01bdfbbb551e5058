"""Tests of the job type `storyboard` on real files, its cues read as a player reads them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from tests.storage.origins import serving
from tests.workers._clocks import clock_video, second_of
from tests.workers._samples_images import BLUE, CORNERS, GREEN, RED, WHITE, assert_corners, corners_video
from tests.workers._samples_video import ffmpeg
from workers._sprites import Grid
from workers._storyboards import make_storyboard
from workers.storyboard import StoryboardPayload, storyboard
from workplatform.children import ChildPool
from workplatform.errors import BadInputError
from workplatform.testing import inline_job

_CHILDREN = ChildPool(preload=("workers._storyboards",))
_CUE = re.compile(r"(\S+) --> (\S+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)")


@dataclass(frozen=True)
class Cue:
    """What a player shows from `start` to `end`, in seconds."""

    start: float
    end: float
    sheet: str
    picture: Image.Image


@dataclass(frozen=True)
class Board:
    """A finished job: its result on the wire, its log and its cues."""

    result: dict[str, Any]
    log: list[str]
    cues: list[Cue]

    @property
    def seconds(self) -> list[int]:
        """The seconds that the pictures show."""
        return [second_of(cue.picture) for cue in self.cues]


def made(root: Path, log: list[str] | None = None, **payload: Any) -> dict[str, Any]:
    """Run the job; return its result on the wire, and add its log."""
    validated = StoryboardPayload.model_validate(payload)
    with inline_job(root, children=_CHILDREN) as run:
        result = storyboard(validated, run.job)
    if log is not None:
        log += run.lines
    return result.model_dump(mode="json", by_alias=True)


def drawn(video: Path, **fields: Any) -> Board:
    """Run the job, and read what it made; check what holds for every storyboard."""
    log: list[str] = []
    result = made(video.parent, log, videoPath=video.name, outputDir="out", **fields)
    folder = video.parent / "out"
    assert {path.name for path in folder.iterdir()} == {
        Path(name).name for name in (result["vttPath"], *result["sheets"])
    }
    assert result["size"] == sum(path.stat().st_size for path in folder.iterdir())
    cues = read_cues(folder)
    assert len(cues) == result["count"]
    assert cues[0].start == 0 and cues[-1].end == pytest.approx(result["duration"], abs=0.001)
    assert [cue.end for cue in cues[:-1]] == [cue.start for cue in cues[1:]]
    assert {cue.picture.size for cue in cues} == {(result["width"], result["height"])}
    return Board(result, log, cues)


def read_cues(folder: Path) -> list[Cue]:
    """Parse the WebVTT file, and cut its pictures from the sheets."""
    header, *blocks = (folder / "storyboard.vtt").read_text().strip().split("\n\n")
    assert header == "WEBVTT"
    cues = []
    for block in blocks:
        found = _CUE.fullmatch(block)
        assert found, block
        x, y, width, height = map(int, found.groups()[3:])
        with Image.open(folder / found[3]) as sheet:
            assert x + width <= sheet.width and y + height <= sheet.height
            cues.append(Cue(clock(found[1]), clock(found[2]), found[3], sheet.crop((x, y, x + width, y + height))))
    return cues


def clock(text: str) -> float:
    hours, minutes, seconds = re.fullmatch(r"(\d\d):(\d\d):(\d\d\.\d{3})", text).groups()  # type: ignore[union-attr]
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


@pytest.fixture(scope="module", autouse=True)
def children() -> Iterator[None]:
    """End the warm children that all these tests share."""
    yield
    _CHILDREN.close()


@pytest.fixture(scope="module")
def ticking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 20 s with a keyframe every second."""
    return clock_video(tmp_path_factory.mktemp("ticking") / "film.mp4")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", ()),
        ("fragments.mp4", ("-movflags", "frag_keyframe+empty_moov")),
        ("a.mkv", ()),
        ("live.mkv", ("-live", "1")),
        ("a.ts", ()),
        ("a.flv", ()),
        ("a.avi", ()),
        ("late.ts", ("-output_ts_offset", "5000")),
        ("late.mkv", ("-output_ts_offset", "5000")),
        ("late_live.mkv", ("-live", "1", "-output_ts_offset", "5000")),
    ],
)
def test_a_cue_shows_the_keyframe_nearest_to_its_middle(
    ticking: Path, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    video = tmp_path / name
    ffmpeg("-i", ticking, "-c", "copy", *options, video)
    board = drawn(video, interval=4)
    assert board.seconds[:5] == [2, 6, 10, 14, 18]
    assert board.result["duration"] == pytest.approx(20, abs=0.3)


def test_of_two_keyframes_equally_near_the_earlier_is_shown(ticking: Path) -> None:
    assert drawn(ticking, interval=5).seconds == [2, 7, 12, 17]


def test_keyframes_far_apart_are_shown_several_times_and_said(tmp_path: Path) -> None:
    board = drawn(clock_video(tmp_path / "a.mp4", seconds=10, gop=40), interval=1)
    assert board.seconds == [0, 0, 4, 4, 4, 4, 8, 8, 8, 8]
    assert board.log == ["the video has fewer keyframes: 3 pictures differ, the others repeat them"]


def test_one_keyframe_is_enough(tmp_path: Path) -> None:
    board = drawn(clock_video(tmp_path / "a.mp4", seconds=3, gop=1000), count=4)
    assert board.seconds == [0, 0, 0, 0]
    assert board.result["interval"] == 0.75


def test_the_last_cue_has_what_is_left(ticking: Path) -> None:
    board = drawn(ticking, interval=8.5)
    assert [(cue.start, cue.end) for cue in board.cues] == [(0, 8.5), (8.5, 17), (17, 20)]
    assert board.seconds == [4, 13, 18]


def test_asked_for_nothing_a_short_video_gets_a_picture_a_second(ticking: Path) -> None:
    board = drawn(ticking)
    assert board.result["interval"] == 1
    assert len(set(board.seconds)) == 20


@pytest.mark.parametrize(("format_", "pillow"), [("jpg", "JPEG"), ("webp", "WEBP")])
def test_pictures_that_do_not_fit_on_a_sheet_go_to_the_next(ticking: Path, format_: str, pillow: str) -> None:
    board = drawn(ticking, count=13, columns=1, width=32, format=format_)
    assert board.result["sheets"] == [f"out/sprite_000.{format_}", f"out/sprite_001.{format_}"]
    assert (board.result["columns"], board.result["rows"]) == (1, 10)
    assert board.seconds == [1, 2, 4, 5, 7, 8, 10, 12, 13, 15, 16, 18, 19]
    for name, height in zip(board.result["sheets"], (180, 54), strict=True):
        with Image.open(ticking.parent / name) as sheet:
            assert (sheet.format, sheet.size) == (pillow, (32, height))


@pytest.mark.parametrize(
    ("width", "height", "columns", "rows"), [(160, 90, 10, 10), (1280, 720, 2, 9), (1280, 720, 12, 1), (20, 9000, 2, 1)]
)
def test_a_sheet_stays_within_what_phones_decode(width: int, height: int, columns: int, rows: int) -> None:
    assert Grid(1000, width, height, columns, "jpg").rows == rows


def test_running_again_removes_the_sheets_that_are_not_made_again_and_nothing_else(ticking: Path) -> None:
    payload: dict[str, Any] = {"videoPath": ticking.name, "outputDir": "kept", "columns": 1, "width": 16}
    made(ticking.parent, **payload, count=15)
    (ticking.parent / "kept" / "mine.jpg").touch()
    made(ticking.parent, **payload, count=5, format="webp")
    names = {path.name for path in (ticking.parent / "kept").iterdir()}
    assert names == {"storyboard.vtt", "sprite_000.webp", "mine.jpg"}


@pytest.mark.parametrize(
    ("options", "size", "corners"),
    [
        ((), (160, 96), CORNERS),
        (("-display_rotation", "90"), (160, 267), (GREEN, WHITE, RED, BLUE)),
    ],
)
def test_a_turned_video_comes_out_upright(
    tmp_path: Path, options: tuple[str, ...], size: tuple[int, int], corners: Any
) -> None:
    stored = corners_video(tmp_path / "stored.mp4")
    ffmpeg(*options, "-i", stored, "-c", "copy", tmp_path / "a.mp4")
    (cue,) = drawn(tmp_path / "a.mp4").cues
    assert cue.picture.size == size
    assert_corners(cue.picture, *corners, within=20)


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("sar.mp4", ("-vf", "setsar=2/1", "-pix_fmt", "yuv420p"), (80, 24)),
        ("odd.mkv", ("-vf", "scale=161:97", "-c:v", "ffv1"), (80, 48)),
        ("422.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv422p10le"), (80, 48)),
        ("alpha.mov", ("-c:v", "png", "-pix_fmt", "rgba"), (80, 48)),
    ],
)
def test_every_kind_of_pixel_comes_out(
    tmp_path: Path, name: str, options: tuple[str, ...], size: tuple[int, int]
) -> None:
    (cue,) = drawn(corners_video(tmp_path / name, *options), width=80).cues
    assert cue.picture.size == size
    assert_corners(cue.picture, *CORNERS, within=20)


def test_a_broken_tail_is_said_and_covered(ticking: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    ffmpeg("-i", ticking, "-c", "copy", "-movflags", "+faststart", whole)
    broken = tmp_path / "broken.mp4"
    data = whole.read_bytes()
    pictures = data.index(b"mdat")
    broken.write_bytes(data[: (2 * len(data) + pictures) // 3])
    board = drawn(broken, interval=2)
    assert board.seconds[:4] == [1, 3, 5, 7]
    assert board.result["duration"] == 20
    (line,) = board.log
    assert re.fullmatch(r"damaged video: \d pictures cannot be read and repeat their neighbours", line)
    assert len(set(board.seconds)) == 10 - int(line.split()[2])


def test_it_tells_of_every_picture_and_every_sheet(ticking: Path, tmp_path: Path) -> None:
    payload = StoryboardPayload(video_path="film.mp4", output_dir="out", count=12, columns=1, width=16)
    steps = list(make_storyboard(ticking, tmp_path, payload))
    assert [(step.done, step.count) for step in steps] == [(done, 12) for done in range(1, 13)]
    assert [step.sheet for step in steps if step.sheet] == ["sprite_000.jpg", "sprite_001.jpg"]


def test_of_a_film_elsewhere_little_more_than_its_keyframes_is_fetched(tmp_path: Path) -> None:
    noise = "testsrc2=size=320x180:rate=10:duration=30,noise=alls=60:allf=t"
    encoder = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-g", "50", "-pix_fmt", "yuv420p")
    film = tmp_path / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", noise, *encoder, film)
    payload: dict[str, Any] = {"count": 3}
    local = made(tmp_path, **payload, videoPath="film.mp4", outputDir="here")
    with serving(film) as origin:
        result = made(tmp_path, **payload, videoPath=origin.url, outputDir="there")
    assert origin.sent < film.stat().st_size / 4
    assert result["size"] == local["size"]
    for name in ("storyboard.vtt", "sprite_000.jpg"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"interval": 5, "count": 5}, "give interval or count, not both"),
        ({"columns": 100, "width": 1280}, "give fewer columns"),
        ({"interval": 0}, "interval"),
        ({"count": 0}, "count"),
        ({"format": "png"}, "format"),
        ({"rows": 3}, "rows"),
    ],
)
def test_a_wrong_wish_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        StoryboardPayload.model_validate({"videoPath": "a", "outputDir": "b", **fields})


def test_too_many_pictures_are_refused_with_the_interval_that_is_possible(tmp_path: Path) -> None:
    long = tmp_path / "long.mkv"
    once = clock_video(tmp_path / "once.mkv", seconds=1, rate=1)
    ffmpeg("-stream_loop", 1999, "-i", once, "-c", "copy", long)
    payload: dict[str, Any] = {"videoPath": "long.mkv", "outputDir": "out", "interval": 0.1}
    with pytest.raises(BadInputError, match=r"lasts 2000 s, .* at most 10000 .* at least 0\.2 s"):
        made(tmp_path, **payload)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"no video" * 100, b"#EXTM3U\nfile:///etc/passwd\n"])
def test_what_is_no_video_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(BadInputError, match=r"not a video: .*a\.mp4"):
        made(tmp_path, videoPath="a.mp4", outputDir="out")
    assert not (tmp_path / "out").exists()
