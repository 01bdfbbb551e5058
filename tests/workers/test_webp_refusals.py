"""Tests of what the job type `webp` refuses."""

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from tests.workers._samples_images import CORNERS, assert_corners, corners_picture
from tests.workers.test_webp import converted
from workers.webp import WebpPayload
from workplatform.errors import BadInputError


def refusal(source: Path, **fields: Any) -> str:
    """Run the job on a file it must refuse; return its sentence, having checked that nothing is left."""
    with pytest.raises(BadInputError) as caught:
        converted(source, **fields)
    assert not list(source.parent.glob("*out.*"))
    assert str(source.parent) not in caught.value.message
    return caught.value.message


def png_header(path: Path, width: int, height: int) -> Path:
    """Write a PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


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
