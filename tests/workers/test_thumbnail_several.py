"""Tests of several thumbnails by one job, and of what each result tells."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import blurhash
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.workers._samples_images import CORNERS, Colour, corners_video, numbered_video
from tests.workers._samples_scenes import black, film_of, scene
from tests.workers._samples_video import ffmpeg
from tests.workers.test_thumbnail import X264, taken
from workers._blurhash import blurhash as our_blurhash
from workers._thumbnails import make_thumbnails
from workers.thumbnail import ThumbnailPayload, thumbnail
from workplatform.errors import BadInputError
from workplatform.testing import inline_job, run_inline


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of which every frame differs."""
    return numbered_video(tmp_path_factory.mktemp("film") / "film.mp4", *X264, "-bf", "3", "-g", "30")


def several(film: Path, root: Path, *moments: object, **fields: Any) -> dict[str, Any]:
    """Take several pictures of a film elsewhere."""
    (root / film.name).hardlink_to(film)
    payload = {"videoPath": film.name, "outputPath": "t/{n}.png", "timestamps": moments, **fields}
    return run_inline(thumbnail, payload, root=root)


@pytest.mark.parametrize("accuracy", ["exact", "keyframe"])
def test_each_picture_is_the_one_that_a_job_of_its_own_takes(accuracy: str, film: Path, tmp_path: Path) -> None:
    moments = ["90%", 0.5, "00:00:01", 0.5, "0", "99"]
    result = several(film, tmp_path, *moments, accuracy=accuracy)
    assert len(result["thumbnails"]) == len(moments)
    for number, (moment, made) in enumerate(zip(moments, result["thumbnails"], strict=True), start=1):
        alone, picture = taken(film, f"alone{number}.png", timestamp=moment, accuracy=accuracy)
        assert {"success": True, **made} == {**alone, "outputPath": f"t/{number}.png"}
        with Image.open(tmp_path / made["outputPath"]) as together:
            assert together.tobytes() == picture.tobytes()


def test_the_first_picture_is_told_where_a_single_one_is(film: Path, tmp_path: Path) -> None:
    result = several(film, tmp_path, "2", "1")
    first = result["thumbnails"][0]
    assert {name: result[name] for name in first} == first
    assert first["timestamp"] == 2


def test_a_single_picture_has_no_list(film: Path) -> None:
    assert "thumbnails" not in taken(film)[0]


def test_the_number_may_be_a_folder_and_the_telling_frame_one_of_them(tmp_path: Path) -> None:
    film_of(tmp_path / "film.mp4", [black(), black(), scene(), black()])
    payload = {"videoPath": "film.mp4", "outputPath": "a/{n}/b{n}.webp", "timestamps": ["1", "auto", "0"]}
    made = run_inline(thumbnail, payload, root=tmp_path)["thumbnails"]
    assert [one["outputPath"] for one in made] == ["a/1/b1.webp", "a/2/b2.webp", "a/3/b3.webp"]
    assert [one["timestamp"] // 1 for one in made] == [1, 2, 0]


def test_it_tells_how_many_are_done_and_which_were_past_the_end(film: Path) -> None:
    payload = ThumbnailPayload.model_validate(
        {"videoPath": film.name, "outputPath": "{n}.webp", "timestamps": ["0", "1", "9"]}
    )
    with inline_job(film.parent) as run:
        paths = [film.with_name(f"{number}.webp") for number in (1, 2, 3)]
        assert list(make_thumbnails(film, paths, payload)) == [1, 2]
        thumbnail(payload, run.job)
    assert run.told[-1] == (100, "decoding", "3 frames, 160x90")
    assert run.lines == ["9 is past the end; took the last frame, at 2.96 s"]


def test_all_of_them_appear_or_none(tmp_path: Path) -> None:
    whole = numbered_video(tmp_path / "whole.mp4", *X264, "-movflags", "+faststart", seconds=6)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    payload = {"videoPath": "cut.mp4", "outputPath": "t/{n}.webp", "timestamps": ["1", "5.5"]}
    with pytest.raises(BadInputError, match=r"damaged video: cut.mp4 ends after"):
        run_inline(thumbnail, payload, root=tmp_path)
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"timestamps": ["1"]}, r"timestamps need \{n\} in outputPath"),
        ({"timestamps": ["1"], "outputPath": "{n}.webp", "timestamp": "2"}, "give one of them"),
        ({"timestamps": [], "outputPath": "{n}.webp"}, "timestamps"),
        ({"timestamps": ["1"] * 101, "outputPath": "{n}.webp"}, "timestamps"),
        ({"timestamps": ["1", "soon"], "outputPath": "{n}.webp"}, "timestamps.1"),
        ({"timestamps": ["auto", "AUTO"], "outputPath": "{n}.webp"}, "give it once"),
    ],
)
def test_what_cannot_be_combined_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        ThumbnailPayload.model_validate({"videoPath": "a.mp4", "outputPath": "a.webp", **fields})


def pixels_of(picture: Image.Image) -> list[list[tuple[int, ...]]]:
    """Return the lines of a picture as the reference takes them."""
    data = picture.tobytes()
    dots = [tuple(data[at : at + 3]) for at in range(0, len(data), 3)]
    return [dots[line * picture.width : (line + 1) * picture.width] for line in range(picture.height)]


@pytest.mark.parametrize("size", [(32, 18), (18, 32), (32, 32), (1, 1), (1, 32), (7, 5)])
def test_the_blurhash_is_that_of_the_reference(size: tuple[int, int]) -> None:
    for picture in (scene().resize(size), Image.new("RGB", size, (9, 99, 199)), Image.new("RGB", size)):
        waves = (4, 3) if size[0] >= size[1] else (3, 4)
        assert our_blurhash(picture.tobytes(), *size) == blurhash.encode(pixels_of(picture), *waves)


def nearest(colour: Sequence[int]) -> Colour:
    """Return which of the corners' colours is the most like this one."""
    return min(CORNERS, key=lambda corner: sum((one - other) ** 2 for one, other in zip(colour, corner, strict=True)))


@pytest.mark.parametrize("output", ["a.webp", "a.jpg", "a.png", "a.avif"])
@pytest.mark.parametrize("degrees", [0, 90])
def test_the_blurhash_shows_the_picture_blurred(output: str, degrees: int, tmp_path: Path) -> None:
    corners_video(tmp_path / "stored.mp4")
    ffmpeg("-display_rotation", degrees, "-i", tmp_path / "stored.mp4", "-c", "copy", tmp_path / "a.mp4")
    result, _ = taken(tmp_path / "a.mp4", output, timestamp=0)
    shown = blurhash.decode(result["blurhash"], 8, 8)
    found = [nearest(shown[y][x]) for y in (1, 6) for x in (1, 6)]
    red, green, blue, white = CORNERS
    assert found == ([red, green, blue, white] if degrees == 0 else [green, white, red, blue])


def test_the_blurhash_of_what_is_transparent_is_black(tmp_path: Path) -> None:
    video = corners_video(tmp_path / "a.mov", "-vf", "format=rgba,colorchannelmixer=aa=0", "-c:v", "qtrle")
    for output in ("a.webp", "a.png", "a.jpg"):
        shown = blurhash.decode(taken(video, output, timestamp=0)[0]["blurhash"], 2, 2)
        assert max(value for line in shown for dot in line for value in dot) < 12
