"""Tests of thumbnails of the most telling frame."""

from pathlib import Path

import pytest

from tests.storage.origins import serving
from tests.workers._samples_images import looks_like, numbered_video
from tests.workers._samples_scenes import black, blurred, faded, film_of, noise, scene, title, title_on_gradient
from tests.workers.test_thumbnail import X264, taken
from workers._telling import telling
from workers.thumbnail import thumbnail
from workplatform.errors import BadInputError
from workplatform.testing import run_inline

SCENE = scene()
DULL = [black(), title(), faded(SCENE, 0.1), blurred(SCENE), title_on_gradient(), title((250, 250, 250)), noise()]


@pytest.mark.parametrize("place", [0, 3, 7])
def test_the_sharp_and_bright_scene_is_the_one_taken(place: int, tmp_path: Path) -> None:
    film = film_of(tmp_path / "film.mp4", [*DULL[:place], SCENE, *DULL[place:]])
    result, picture = taken(film, timestamp="auto")
    assert place <= result["timestamp"] < place + 1
    assert result["clamped"] is False
    shown, wanted = picture.convert("RGB").resize((1, 1)), SCENE.resize((1, 1))
    assert looks_like(shown.getpixel((0, 0)), wanted.getpixel((0, 0)))  # type: ignore[arg-type]


@pytest.mark.parametrize("dull", range(len(DULL)))
def test_every_dull_picture_tells_less_than_a_scene(dull: int) -> None:
    assert telling(DULL[dull]) < telling(SCENE) / 2


def test_a_film_of_one_keyframe_is_looked_into(tmp_path: Path) -> None:
    film = film_of(tmp_path / "film.mp4", [black(), black(), title(), SCENE, SCENE, black()], keyframe_every=999)
    result, _ = taken(film, timestamp="auto")
    assert 3 <= result["timestamp"] < 5


# A bare stream does not say how fast it plays: 25 frames a second are taken for granted.
@pytest.mark.parametrize(("name", "second"), [("a.ts", 1), ("a.mkv", 1), ("a.avi", 1), ("a.flv", 1), ("a.h264", 0.2)])
def test_any_container_has_a_telling_frame(name: str, second: float, tmp_path: Path) -> None:
    film = film_of(tmp_path / name, [black(), black(), SCENE, SCENE, black(), title()])
    result, _ = taken(film, timestamp="auto")
    assert 2 * second <= result["timestamp"] < 4 * second


def test_a_film_of_unknown_length_is_looked_at_too(tmp_path: Path) -> None:
    film = film_of(tmp_path / "a.mkv", [black(), black(), black(), SCENE, black()], "-live", 1)
    result, _ = taken(film, timestamp="auto")
    assert 3 <= result["timestamp"] < 4


def test_a_film_that_is_black_all_through_gives_black(tmp_path: Path) -> None:
    result, picture = taken(film_of(tmp_path / "a.mp4", [black()] * 3), timestamp="auto")
    assert 0 <= result["timestamp"] < 3
    assert looks_like(picture.convert("RGB").resize((1, 1)).getpixel((0, 0)), (0, 0, 0))  # type: ignore[arg-type]


def test_of_a_film_cut_off_what_is_there_is_looked_at(tmp_path: Path) -> None:
    whole = numbered_video(tmp_path / "whole.mp4", *X264, "-g", "5", "-movflags", "+faststart", seconds=4)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert 0 <= taken(cut, timestamp="auto")[0]["timestamp"] < 3


def test_a_single_frame_is_the_most_telling_one(tmp_path: Path) -> None:
    film = film_of(tmp_path / "a.mp4", [SCENE], "-frames:v", 1)
    assert taken(film, timestamp="auto")[0]["timestamp"] == 0


def test_of_a_remote_film_only_parts_are_fetched(tmp_path: Path) -> None:
    film = film_of(tmp_path / "a.mp4", [black(), SCENE, title(), black()])
    with serving(film) as origin:
        payload = {"videoPath": origin.url, "outputPath": "a.webp", "timestamp": "Auto"}
        assert 1 <= run_inline(thumbnail, payload, root=tmp_path)["timestamp"] < 2


def test_what_is_no_video_has_no_telling_frame(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"words" * 1000)
    with pytest.raises(BadInputError, match=r"no video stream in a\.mp4"):
        run_inline(thumbnail, {"videoPath": "a.mp4", "outputPath": "a.webp", "timestamp": "auto"}, root=tmp_path)
