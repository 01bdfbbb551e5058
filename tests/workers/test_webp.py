"""Tests of the job type `webp` on real files."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from tests.workers._samples_images import BLUE, CORNERS, GREEN, RED, WHITE, assert_corners, corners_picture
from workers.webp import webp
from workplatform.testing import run_inline

ORIENTATION = 274
UPRIGHT = {
    1: (RED, GREEN, BLUE, WHITE),
    2: (GREEN, RED, WHITE, BLUE),
    3: (WHITE, BLUE, GREEN, RED),
    4: (BLUE, WHITE, RED, GREEN),
    5: (RED, BLUE, GREEN, WHITE),
    6: (BLUE, RED, WHITE, GREEN),
    7: (WHITE, GREEN, BLUE, RED),
    8: (GREEN, WHITE, RED, BLUE),
}


def converted(source: Path, **fields: Any) -> tuple[dict[str, Any], Image.Image]:
    """Run the job on a file; return its result and the picture it made."""
    payload = {"inputPath": source.name, "outputPath": "out.webp", **fields}
    result = run_inline(webp, payload, root=source.parent)
    picture = Image.open(BytesIO((source.parent / result["outputPath"]).read_bytes()))
    picture.load()
    return result, picture


def test_the_result_tells_what_was_made_and_saved(tmp_path: Path) -> None:
    source = tmp_path / "a.bmp"
    corners_picture().save(source)
    result, picture = converted(source)
    size = (tmp_path / "out.webp").stat().st_size
    assert result == {
        "success": True,
        "outputPath": "out.webp",
        "size": size,
        "width": 160,
        "height": 96,
        "format": "webp",
        "quality": 80,
        "frames": 1,
        "savedBytes": source.stat().st_size - size,
    }
    assert picture.format == "WEBP"
    assert_corners(picture, *CORNERS)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.avif"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_orientation_of_a_camera_is_applied(name: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    corners_picture().save(tmp_path / name, exif=exif)
    size = (160, 96) if orientation < 5 else (96, 160)
    result, picture = converted(tmp_path / name)
    assert (result["width"], result["height"]) == picture.size == size
    assert_corners(picture, *UPRIGHT[orientation])
    assert ORIENTATION not in picture.getexif()
    _, small = converted(tmp_path / name, width=48)
    assert small.size == (48, round(48 * size[1] / size[0]))
    assert_corners(small, *UPRIGHT[orientation])


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, (160, 96)),
        ({"width": 80}, (80, 48)),
        ({"height": 24}, (40, 24)),
        ({"width": 80, "height": 24}, (40, 24)),
        ({"width": 1000}, (160, 96)),
        ({"width": 1000, "height": 48}, (80, 48)),
        ({"width": 1}, (1, 1)),
    ],
)
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_picture_is_shrunk_to_fit_and_never_enlarged(
    name: str, fields: dict[str, Any], size: tuple[int, int], tmp_path: Path
) -> None:
    corners_picture().save(tmp_path / name, quality=95)
    assert converted(tmp_path / name, **fields)[1].size == size


def test_the_colour_profile_is_kept(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name in ("a.jpg", "a.png"):
        corners_picture().save(tmp_path / name, icc_profile=profile)
        assert converted(tmp_path / name, width=80)[1].info["icc_profile"] == profile


def test_a_profile_of_another_colour_space_is_not_put_on_rgb(tmp_path: Path) -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"CMYK"
    corners_picture(mode="CMYK").save(tmp_path / "a.jpg", quality=95, icc_profile=bytes(profile))
    picture = converted(tmp_path / "a.jpg")[1]
    assert "icc_profile" not in picture.info
    assert_corners(picture, *CORNERS)


def test_a_broken_colour_profile_breaks_no_picture(tmp_path: Path) -> None:
    corners_picture(mode="CMYK").save(tmp_path / "a.jpg", quality=95, icc_profile=bytes(16) + b"CMYK" + bytes(200))
    assert_corners(converted(tmp_path / "a.jpg")[1], *CORNERS)


@pytest.mark.parametrize(
    ("mode", "name"),
    [("CMYK", "a.jpg"), ("CMYK", "a.tif"), ("P", "a.png"), ("P", "a.gif"), ("RGBA", "a.png"), ("YCbCr", "a.jpg")],
)
def test_every_kind_of_colour_comes_out_right(mode: str, name: str, tmp_path: Path) -> None:
    corners_picture(mode=mode).save(tmp_path / name, quality=95)
    assert_corners(converted(tmp_path / name)[1], *CORNERS)
    assert_corners(converted(tmp_path / name, width=80)[1], *CORNERS)


@pytest.mark.parametrize(
    ("mode", "value", "name", "grey"),
    [
        ("L", 77, "a.jpg", 77),
        ("L", 77, "a.png", 77),
        ("1", 1, "a.png", 255),
        ("I;16", 32768, "a.png", 128),
        ("I;16", 65535, "a.tif", 255),
        ("I;16", 200, "a.png", 1),
        ("I", 40000, "a.tif", 156),
        ("F", 0.5, "a.tif", 128),
    ],
)
def test_grey_of_any_depth_comes_out_as_bright_as_it_is(
    mode: str, value: float, name: str, grey: int, tmp_path: Path
) -> None:
    Image.new(mode, (40, 30), value).save(tmp_path / name)
    picture = converted(tmp_path / name)[1].convert("L")
    assert picture.getpixel((9, 9)) == pytest.approx(grey, abs=1)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), 1.02])
def test_values_out_of_range_do_not_make_the_others_dark(odd: float, tmp_path: Path) -> None:
    heights = Image.new("F", (40, 30), 0.5)
    heights.putpixel((0, 0), odd)
    heights.save(tmp_path / "a.tif")
    picture = converted(tmp_path / "a.tif")[1].convert("L")
    assert picture.getpixel((20, 20)) == pytest.approx(128, abs=1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_kept(mode: str, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    picture.paste((255, 255, 255, 255), (20, 0, 40, 30))
    if mode == "P":
        indexed = Image.new("P", (40, 30), 0)
        indexed.putpalette([9, 9, 9, 255, 255, 255])
        indexed.paste(1, (20, 0, 40, 30))
        indexed.save(tmp_path / "a.png", transparency=0)
    else:
        picture.convert(mode).save(tmp_path / "a.png")
    made = converted(tmp_path / "a.png")[1].getchannel("A")
    assert (made.getpixel((5, 5)), made.getpixel((35, 5))) == (0, 255)


def test_lossless_keeps_every_pixel(tmp_path: Path) -> None:
    noise = Image.merge("RGB", [Image.effect_noise((64, 48), 90) for _ in range(3)])
    noise.save(tmp_path / "a.png")
    assert converted(tmp_path / "a.png", lossless=True)[1].convert("RGB").tobytes() == noise.tobytes()


def test_lossless_keeps_the_colours_of_what_is_transparent(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (40, 30), (200, 100, 50, 0))
    picture.paste((10, 20, 30, 255), (20, 0, 40, 30))
    picture.save(tmp_path / "a.png")

    assert converted(tmp_path / "a.png", lossless=True)[1].tobytes() == picture.tobytes()


def test_more_quality_costs_more_bytes_and_effort_is_accepted(tmp_path: Path) -> None:
    Image.effect_noise((160, 120), 50).save(tmp_path / "a.png")
    sizes = [converted(tmp_path / "a.png", quality=quality)[0]["size"] for quality in (10, 80, 100)]
    assert sizes == sorted(set(sizes))
    fast, best = (converted(tmp_path / "a.png", effort=effort)[0]["size"] for effort in ("fast", "best"))
    assert fast != best


def test_the_first_page_of_a_tiff_is_the_picture(tmp_path: Path) -> None:
    corners_picture().save(tmp_path / "a.tif", save_all=True, append_images=[Image.new("RGB", (160, 96))])
    result, picture = converted(tmp_path / "a.tif")
    assert result["frames"] == 1
    assert_corners(picture, *CORNERS)
