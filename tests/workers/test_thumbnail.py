"""Tests of the job type `thumbnail` on real files."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from tests.workers._samples_images import (
    BLUE,
    CORNERS,
    GREEN,
    RED,
    WHITE,
    assert_corners,
    corners_of,
    corners_picture,
    corners_video,
    looks_like,
    numbered_video,
)
from tests.workers._samples_video import ffmpeg
from workers._moments import parse_moment
from workers.thumbnail import ThumbnailPayload, thumbnail
from workplatform.testing import inline_job, run_inline

X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
BT709 = ("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709")
PQ = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"


def taken(video: Path, output: str = "out.webp", **fields: Any) -> tuple[dict[str, Any], Image.Image]:
    """Run the job on a video; return its result and the picture it made."""
    payload = {"videoPath": video.name, "outputPath": output, **fields}
    result = run_inline(thumbnail, payload, root=video.parent)
    with Image.open(video.parent / output) as picture:
        picture.load()
        return result, picture


@pytest.fixture(scope="module")
def corners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of the four quarters."""
    return corners_video(tmp_path_factory.mktemp("corners") / "corners.mp4")


@pytest.mark.parametrize(
    ("output", "format_", "pillow"),
    [
        ("a.webp", "webp", "WEBP"),
        ("a.jpg", "jpg", "JPEG"),
        ("a.JPEG", "jpg", "JPEG"),
        ("a.png", "png", "PNG"),
        ("a.avif", "avif", "AVIF"),
    ],
)
def test_the_extension_chooses_the_format(corners: Path, output: str, format_: str, pillow: str) -> None:
    result, picture = taken(corners, output, timestamp="0.5")
    assert (result["format"], picture.format) == (format_, pillow)
    assert_corners(picture, *CORNERS)


def test_the_result_tells_what_was_made(corners: Path) -> None:
    result, picture = taken(corners, "deep/er/a.webp", timestamp=0.52, width=80)
    assert result == {
        "success": True,
        "outputPath": "deep/er/a.webp",
        "size": (corners.parent / "deep/er/a.webp").stat().st_size,
        "width": 80,
        "height": 48,
        "format": "webp",
        "timestamp": 0.5,
        "clamped": False,
        "blurhash": result["blurhash"],
    }
    assert len(result["blurhash"]) == 28
    assert picture.size == (80, 48)


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, (160, 96)),
        ({"width": 80}, (80, 48)),
        ({"height": 24}, (40, 24)),
        ({"width": 80, "height": 24}, (40, 24)),
        ({"width": 40, "height": 90}, (40, 24)),
        ({"width": 320}, (320, 192)),
        ({"width": 1}, (1, 1)),
    ],
)
def test_the_size_is_the_asked_one_in_the_videos_proportions(
    corners: Path, fields: dict[str, Any], size: tuple[int, int]
) -> None:
    result, picture = taken(corners, timestamp=0, **fields)
    assert (result["width"], result["height"]) == picture.size == size


def test_without_a_size_a_large_video_comes_out_320_wide(tmp_path: Path) -> None:
    _, picture = taken(corners_video(tmp_path / "a.mp4", width=640, height=384))
    assert picture.size == (320, 192)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("00:00:01", 1), ("01:30", 90), ("1:00:00.5", 3600.5), ("12.5", 12.5), ("0", 0), ("90:00", 5400), (" 7 ", 7)],
)
def test_a_timestamp_is_a_clock_time_or_seconds(written: str, seconds: float) -> None:
    assert parse_moment(written).seconds(duration=parse_moment("9").value) == seconds


@pytest.mark.parametrize(("name", "options"), [("a.mp4", ()), ("late.mkv", ("-output_ts_offset", "7"))])
def test_a_timestamp_may_be_a_share(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    video = numbered_video(tmp_path / name, *X264, *options, seconds=2)
    assert [taken(video, timestamp=share)[0]["timestamp"] for share in ("0%", "50%", "100%")] == [0, 1, 1.96]


@pytest.mark.parametrize("number", [1, 1.0, 0.1, 12.345, 1e-7])
def test_a_timestamp_may_be_a_number(number: float) -> None:
    payload = ThumbnailPayload.model_validate({"videoPath": "a", "outputPath": "a.png", "timestamp": number})
    assert float(parse_moment(payload.timestamp).value) == pytest.approx(number)


@pytest.mark.parametrize(
    "wrong", ["", "-1", -1, "1:60", "1:00:60", "101%", "ten", "1e3", 10**400, True, None, "1:2:3:4", "٣"]
)
def test_a_wrong_timestamp_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match="timestamp"):
        ThumbnailPayload.model_validate({"videoPath": "a", "outputPath": "a.png", "timestamp": wrong})


@pytest.mark.parametrize("wrong", ["a", "a.gif", "a.webp.txt", ""])
def test_an_output_of_no_known_format_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="outputPath"):
        ThumbnailPayload.model_validate({"videoPath": "a", "outputPath": wrong})


def test_past_the_end_the_last_frame_is_taken_and_said(corners: Path) -> None:
    payload = ThumbnailPayload(video_path=corners.name, output_path="late.webp", timestamp="00:01:00")
    with inline_job(corners.parent) as run:
        result = thumbnail(payload, run.job)
    assert (result.timestamp, result.clamped) == (0.9, True)
    assert "past the end" in run.told[-1][2]


def test_a_keyframe_past_the_end_is_said_too(corners: Path) -> None:
    result, _ = taken(corners, timestamp="9", accuracy="keyframe")
    assert (result["timestamp"], result["clamped"]) == (0, True)


@pytest.mark.parametrize("output", ["a.webp", "a.png"])
@pytest.mark.parametrize(
    ("options", "upright"),
    [
        (("-display_rotation", "0"), (RED, GREEN, BLUE, WHITE)),
        (("-display_rotation", "90"), (GREEN, WHITE, RED, BLUE)),
        (("-display_rotation", "180"), (WHITE, BLUE, GREEN, RED)),
        (("-display_rotation", "270"), (BLUE, RED, WHITE, GREEN)),
        (("-display_rotation", "0", "-display_hflip"), (GREEN, RED, WHITE, BLUE)),
        (("-display_rotation", "0", "-display_vflip"), (BLUE, WHITE, RED, GREEN)),
    ],
)
def test_a_turned_or_mirrored_video_comes_out_upright(
    corners: Path, tmp_path: Path, options: tuple[str, ...], upright: tuple[Any, ...], output: str
) -> None:
    turned = tmp_path / "turned.mp4"
    ffmpeg(*options, "-i", corners, "-c", "copy", turned)
    result, picture = taken(turned, output, timestamp=0)
    on_its_side = options[1] in {"90", "270"}
    assert picture.size == (result["width"], result["height"]) == ((96, 160) if on_its_side else (160, 96))
    assert_corners(picture, *upright)


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    video = corners_video(tmp_path / "a.mp4", "-vf", "setsar=2/1", *X264)
    assert taken(video)[1].size == (320, 96)
    assert taken(video, width=100)[1].size == (100, 30)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("10bit.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv420p10le")),
        ("422.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv422p")),
        ("444-10.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv444p10le")),
        ("rgb.mkv", ("-c:v", "ffv1", "-pix_fmt", "gbrp")),
        ("full-range.avi", ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p")),
        ("prores.mov", ("-c:v", "prores_ks", "-pix_fmt", "yuv422p10le")),
        ("bt709.mp4", ("-vf", "scale=out_color_matrix=bt709", *X264, *BT709)),
        ("palette.gif", ("-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse")),
    ],
)
@pytest.mark.parametrize("output", ["a.webp", "a.png"])
def test_every_kind_of_pixel_keeps_its_colour(name: str, options: tuple[str, ...], output: str, tmp_path: Path) -> None:
    video = corners_video(tmp_path / name, *options)
    assert_corners(taken(video, output, timestamp=0)[1], *CORNERS)


@pytest.mark.parametrize(("width", "height"), [(161, 97), (33, 17), (3, 1)])
def test_odd_sizes_keep_every_pixel(width: int, height: int, tmp_path: Path) -> None:
    video = corners_video(tmp_path / "a.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv444p", width=width, height=height)
    for output in ("a.webp", "a.png", "a.jpg"):
        assert taken(video, output)[1].size == (width, height)


def test_grey_stays_grey(tmp_path: Path) -> None:
    video = corners_video(tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "gray")
    greys = [corners_picture().convert("L").convert("RGB")]
    assert_corners(taken(video, timestamp=0)[1], *corners_of(greys[0]))


@pytest.mark.parametrize(("output", "width"), [("a.webp", 32), ("a.jpg", 64)])
def test_hdr_white_comes_out_white_and_not_grey(output: str, width: int, tmp_path: Path) -> None:
    video = tmp_path / "hdr.mp4"
    reference_white = "geq=lum=572:cb=512:cr=512"  # 203 cd/m2 in PQ, by ITU-R BT.2408
    source = (
        "-f",
        "lavfi",
        "-i",
        "color=size=64x64:rate=5:duration=1",
        "-vf",
        f"format=yuv420p10,{reference_white},{PQ}",
    )
    ffmpeg(*source, "-c:v", "libx265", "-x265-params", "log-level=none", video)
    assert looks_like(corners_of(taken(video, output, timestamp=0, width=width)[1])[0], WHITE)


def test_transparency_is_kept_and_black_where_a_format_has_none(tmp_path: Path) -> None:
    video = corners_video(tmp_path / "a.mov", "-vf", "format=rgba,colorchannelmixer=aa=0", "-c:v", "qtrle")
    for output in ("a.webp", "a.png", "a.avif"):
        picture = taken(video, output, timestamp=0)[1]
        assert picture.getchannel("A").getextrema() == (0, 0)
    assert_corners(taken(video, "a.jpg", timestamp=0)[1], *[(0, 0, 0)] * 4)
