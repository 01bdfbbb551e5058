"""Tests of the formats that the job type `webp` writes."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms
from pydantic import ValidationError

from tests.workers._samples_images import CORNERS, WHITE, assert_corners, corners_picture, looks_like
from tests.workers.test_webp import ORIENTATION, UPRIGHT, converted
from workers.webp import WebpPayload

FORMATS = [
    ("out.avif", "avif", "AVIF"),
    ("out.jpg", "jpg", "JPEG"),
    ("o.JPEG", "jpg", "JPEG"),
    ("out.png", "png", "PNG"),
]
OUTPUTS = ["out.avif", "out.jpg", "out.png"]


@pytest.mark.parametrize(("output", "format_", "pillow"), FORMATS)
def test_the_extension_chooses_the_format(output: str, format_: str, pillow: str, tmp_path: Path) -> None:
    corners_picture().save(tmp_path / "a.bmp")
    result, picture = converted(tmp_path / "a.bmp", outputPath=output)
    assert (result["format"], picture.format) == (format_, pillow)
    assert result["quality"] == (None if format_ == "png" else 80)
    assert result["size"] == (tmp_path / output).stat().st_size
    assert_corners(picture, *CORNERS)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_orientation_of_a_camera_is_applied(output: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    corners_picture().save(tmp_path / "a.jpg", exif=exif)
    size = (160, 96) if orientation < 5 else (96, 160)
    result, picture = converted(tmp_path / "a.jpg", outputPath=output)
    assert (result["width"], result["height"]) == picture.size == size
    assert_corners(picture, *UPRIGHT[orientation])
    assert ORIENTATION not in picture.getexif()


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("source", ["a.jpg", "a.png", "a.tif"])
def test_the_colour_profile_is_kept(output: str, source: str, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    corners_picture().save(tmp_path / source, icc_profile=profile)
    assert converted(tmp_path / source, outputPath=output, width=80)[1].info["icc_profile"] == profile


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_profile_of_another_colour_space_is_not_put_on_rgb(output: str, tmp_path: Path) -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"CMYK"
    corners_picture(mode="CMYK").save(tmp_path / "a.jpg", quality=95, icc_profile=bytes(profile))
    picture = converted(tmp_path / "a.jpg", outputPath=output)[1]
    assert "icc_profile" not in picture.info
    assert_corners(picture, *CORNERS)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_transparency_is_kept_and_white_in_a_jpg(output: str, mode: str, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    picture.paste((90, 90, 90, 255), (20, 0, 40, 30))
    if mode == "P":
        indexed(tmp_path / "a.png")
    else:
        picture.convert(mode).save(tmp_path / "a.png")
    made = converted(tmp_path / "a.png", outputPath=output)[1]
    if output == "out.jpg":
        assert looks_like(made.getpixel((5, 5)), WHITE)  # type: ignore[arg-type]
    else:
        alpha = made.getchannel("A")
        assert (alpha.getpixel((5, 5)), alpha.getpixel((35, 5))) == (0, 255)
    assert looks_like(made.convert("RGB").getpixel((35, 5)), (90, 90, 90))  # type: ignore[arg-type]


def indexed(path: Path) -> None:
    """Write a picture of two colours, one of them transparent."""
    picture = Image.new("P", (40, 30), 0)
    picture.putpalette([9, 9, 9, 90, 90, 90])
    picture.paste(1, (20, 0, 40, 30))
    picture.save(path, transparency=0)


def test_a_png_keeps_every_pixel(tmp_path: Path) -> None:
    noise = Image.merge("RGB", [Image.effect_noise((64, 48), 90) for _ in range(3)])
    noise.save(tmp_path / "a.bmp")
    for fields in ({}, {"lossless": True}, {"effort": "fast"}, {"effort": "best"}):
        assert converted(tmp_path / "a.bmp", outputPath="out.png", **fields)[1].tobytes() == noise.tobytes()


@pytest.mark.parametrize("output", ["out.avif", "out.jpg"])
def test_quality_goes_from_0_to_100_and_effort_is_accepted(output: str, tmp_path: Path) -> None:
    Image.effect_noise((160, 120), 50).save(tmp_path / "a.png")
    sizes = [converted(tmp_path / "a.png", outputPath=output, quality=quality)[0]["size"] for quality in (0, 50, 100)]
    assert sizes == sorted(set(sizes))
    fast, best = (
        converted(tmp_path / "a.png", outputPath=output, effort=effort)[0]["size"] for effort in ("fast", "best")
    )
    assert fast != best


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_pages_of_a_file_are_no_animation(output: str, tmp_path: Path) -> None:
    corners_picture().save(tmp_path / "a.tif", save_all=True, append_images=[Image.new("RGB", (160, 96))])
    result, picture = converted(tmp_path / "a.tif", outputPath=output)
    assert (result["frames"], getattr(picture, "n_frames", 1)) == (1, 1)
    assert b"avis" not in (tmp_path / output).read_bytes()[:32], "a sequence"
    assert_corners(picture, *CORNERS)


def test_what_the_source_says_about_itself_stays_behind(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "at my house"
    corners_picture().save(tmp_path / "a.jpg", comment=b"at my house", exif=exif)
    for output in (*OUTPUTS, "out.webp"):
        converted(tmp_path / "a.jpg", outputPath=output)
        assert b"house" not in (tmp_path / output).read_bytes()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"outputPath": "a.jpg", "lossless": True}, "lossless"),
        ({"outputPath": "a.avif", "lossless": True}, "lossless"),
        ({"outputPath": "a.png", "targetSize": 1000}, "targetSize"),
        ({"outputPath": "a.webp", "lossless": True, "targetSize": 1000}, "targetSize"),
        ({"outputPath": "a.webp", "targetSize": "small"}, "targetSize"),
        ({"outputPath": "a.webp", "targetSize": 0}, "targetSize"),
        ({"outputPath": "a.gif", "lossless": True}, "outputPath"),
    ],
)
def test_fields_that_do_not_fit_the_format_are_refused_by_name(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebpPayload.model_validate({"inputPath": "a.png", **fields})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]
