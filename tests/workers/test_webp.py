"""Tests of the job type `webp` on real files."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms
from pydantic import ValidationError

from tests.workers._samples_images import BLUE, CORNERS, GREEN, RED, WHITE, assert_corners, corners_picture
from workers.webp import WebpPayload, webp
from workplatform.errors import BadInputError
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
FRAMES = [Image.new("RGB", (64, 48), colour) for colour in (RED, GREEN, BLUE, WHITE)]
DURATIONS_MS = [100, 200, 50, 300]


def converted(source: Path, **fields: Any) -> tuple[dict[str, Any], Image.Image]:
    """Run the job on a file; return its result and the WebP it made."""
    payload = {"inputPath": source.name, "outputPath": "out.webp", **fields}
    result = run_inline(webp, payload, root=source.parent)
    picture = Image.open(BytesIO((source.parent / "out.webp").read_bytes()))
    picture.load()
    return result, picture


def refusal(source: Path, **fields: Any) -> str:
    """Run the job on a file it must refuse; return its sentence, having checked that nothing is left."""
    with pytest.raises(BadInputError) as caught:
        converted(source, **fields)
    assert not list(source.parent.glob("*out.webp*"))
    assert str(source.parent) not in caught.value.message
    return caught.value.message


def played(animation: Image.Image) -> list[tuple[int, Any]]:
    """Return the duration and the colour of each frame of an animation."""
    shown = []
    for number in range(int(getattr(animation, "n_frames", 1))):
        animation.seek(number)
        animation.load()
        shown.append((int(animation.info["duration"]), animation.convert("RGB").getpixel((5, 5))))
    return shown


def saved_animation(path: Path, **options: Any) -> Path:
    """Write four frames of one colour each."""
    FRAMES[0].save(path, save_all=True, append_images=FRAMES[1:], duration=DURATIONS_MS, **options)
    return path


def png_header(path: Path, width: int, height: int) -> Path:
    """Write a PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


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


def test_more_quality_costs_more_bytes_and_effort_is_accepted(tmp_path: Path) -> None:
    Image.effect_noise((160, 120), 50).save(tmp_path / "a.png")
    sizes = [converted(tmp_path / "a.png", quality=quality)[0]["size"] for quality in (10, 80, 100)]
    assert sizes == sorted(set(sizes))
    fast, best = (converted(tmp_path / "a.png", effort=effort)[0]["size"] for effort in ("fast", "best"))
    assert fast != best


@pytest.mark.parametrize(("stored", "plays"), [(None, 1), (0, 0), (3, 4)])
def test_an_animated_gif_keeps_its_frames_times_and_repetitions(stored: int | None, plays: int, tmp_path: Path) -> None:
    source = saved_animation(tmp_path / "a.gif", **({} if stored is None else {"loop": stored}))
    result, picture = converted(source, width=32)
    assert (result["frames"], picture.size, picture.info["loop"]) == (4, (32, 24), plays)
    shown = played(picture)
    assert [duration for duration, _ in shown] == DURATIONS_MS
    assert_corners_of_frames(shown)


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_an_animated_png_or_webp_stays_animated(name: str, tmp_path: Path) -> None:
    result, picture = converted(saved_animation(tmp_path / name, loop=2))
    assert (result["frames"], picture.info["loop"]) == (4, 2)
    assert [duration for duration, _ in played(picture)] == DURATIONS_MS
    assert_corners_of_frames(played(picture))


def assert_corners_of_frames(shown: list[tuple[int, Any]]) -> None:
    """Check that the frames have the colours of FRAMES, in order."""
    for (_, colour), frame in zip(shown, FRAMES, strict=True):
        assert colour == pytest.approx(frame.getpixel((0, 0)), abs=8)


def test_the_poster_of_an_animated_png_is_no_frame_of_it(tmp_path: Path) -> None:
    poster = Image.new("RGB", (64, 48), (1, 2, 3))
    options: dict[str, Any] = {"save_all": True, "append_images": FRAMES, "duration": 100, "default_image": True}
    poster.save(tmp_path / "a.png", **options)
    result, picture = converted(tmp_path / "a.png")
    assert result["frames"] == 4
    assert_corners_of_frames(played(picture))


def test_transparent_frames_of_a_gif_stay_transparent(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (40, 30), (0, 0, 0, 0)) for _ in range(3)]
    for place, frame in enumerate(frames):
        frame.paste((255, 0, 0, 255), (place * 10, 0, place * 10 + 10, 30))
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=90, disposal=2)
    _, picture = converted(tmp_path / "a.gif")
    picture.seek(1)
    alpha = picture.convert("RGBA").getchannel("A")
    assert [alpha.getpixel((x, 5)) for x in (5, 15, 25)] == [0, 255, 0]


def test_the_first_page_of_a_tiff_is_the_picture(tmp_path: Path) -> None:
    corners_picture().save(tmp_path / "a.tif", save_all=True, append_images=[Image.new("RGB", (160, 96))])
    result, picture = converted(tmp_path / "a.tif")
    assert result["frames"] == 1
    assert_corners(picture, *CORNERS)


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (13_000, 10_000)])
def test_a_decompression_bomb_is_refused_by_its_header(width: int, height: int, tmp_path: Path) -> None:
    message = refusal(png_header(tmp_path / "bomb.png", width, height), width=100)
    assert message.startswith("bomb.png is too large")
    assert "120 megapixels" in message


def test_a_picture_too_long_for_webp_says_what_to_do(tmp_path: Path) -> None:
    Image.new("RGB", (20_000, 10)).save(tmp_path / "long.png")
    assert "give a width or a height" in refusal(tmp_path / "long.png")
    assert converted(tmp_path / "long.png", width=1000)[1].size == (1000, 1)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.webp", "a.tif", "a.bmp"])
def test_a_picture_cut_off_is_refused(name: str, tmp_path: Path) -> None:
    Image.effect_noise((200, 150), 60).convert("RGB").save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * 2 // 3])
    assert refusal(tmp_path / name).startswith(f"damaged image: {name} is cut off or broken")


def test_an_animation_cut_off_is_refused(tmp_path: Path) -> None:
    frames = [Image.effect_noise((100, 80), 60).convert("P") for _ in range(4)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    data = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "a.gif").write_bytes(data[: len(data) * 2 // 3])
    assert refusal(tmp_path / "a.gif").startswith("damaged image: a.gif")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.jpg", b"", "not an image: x.jpg is empty"),
        ("x.txt", b"only words\n" * 99, "not an image that can be read: x.txt"),
        ("x.jpg", bytes(range(256)) * 20, "not an image that can be read: x.jpg"),
        ("x.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image that can be read: x.eps"),
        ("x.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not an image that can be read: x.svg"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_sentence(
    name: str, content: bytes, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    assert refusal(tmp_path / name) == sentence


def test_a_picture_with_a_wrong_extension_is_read_by_its_content(tmp_path: Path) -> None:
    corners_picture().save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert_corners(converted(tmp_path / "a.jpg")[1], *CORNERS)


@pytest.mark.parametrize(
    ("field", "value"),
    [("outputPath", "a.gif"), ("quality", 101), ("width", 0), ("effort", "most"), ("speed", 1), ("inputPath", "")],
)
def test_wrong_fields_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        WebpPayload.model_validate({"inputPath": "a.jpg", "outputPath": "a.webp", field: value})
