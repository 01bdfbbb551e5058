"""Tests of animations as the job type `webp` converts them."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.workers._samples_images import BLUE, GREEN, RED, WHITE
from tests.workers.test_webp import converted
from tests.workers.test_webp_refusals import refusal
from workers.webp import WebpPayload, webp
from workplatform.testing import inline_job

FRAMES = [Image.new("RGB", (64, 48), colour) for colour in (RED, GREEN, BLUE, WHITE)]
DURATIONS_MS = [100, 200, 50, 300]


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


def moving_square(path: Path) -> Path:
    """Write a GIF of a red stripe that moves over nothing."""
    frames = [Image.new("RGBA", (40, 30), (0, 0, 0, 0)) for _ in range(3)]
    for place, frame in enumerate(frames):
        frame.paste((255, 0, 0, 255), (place * 10, 0, place * 10 + 10, 30))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=90, disposal=2)
    return path


def test_transparent_frames_of_a_gif_stay_transparent(tmp_path: Path) -> None:
    _, picture = converted(moving_square(tmp_path / "a.gif"))
    picture.seek(1)
    alpha = picture.convert("RGBA").getchannel("A")
    assert [alpha.getpixel((x, 5)) for x in (5, 15, 25)] == [0, 255, 0]


def test_an_animation_cut_off_is_refused(tmp_path: Path) -> None:
    frames = [Image.effect_noise((100, 80), 60).convert("P") for _ in range(4)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    data = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "a.gif").write_bytes(data[: len(data) * 2 // 3])
    assert refusal(tmp_path / "a.gif").startswith("damaged image: a.gif")


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_an_animation_stays_one_as_avif(name: str, tmp_path: Path) -> None:
    result, picture = converted(saved_animation(tmp_path / name), outputPath="out.avif", width=32)
    assert (result["frames"], picture.size, picture.format) == (4, (32, 24), "AVIF")
    assert [duration for duration, _ in played(picture)] == DURATIONS_MS
    assert_corners_of_frames(played(picture))


def test_an_animated_avif_comes_back_as_webp(tmp_path: Path) -> None:
    converted(saved_animation(tmp_path / "a.gif"), outputPath="there.avif")
    result, picture = converted(tmp_path / "there.avif", outputPath="back.webp")
    assert result["frames"] == 4
    assert [duration for duration, _ in played(picture)] == DURATIONS_MS


def test_transparent_frames_stay_transparent_as_avif(tmp_path: Path) -> None:
    source = moving_square(tmp_path / "a.gif")
    _, picture = converted(source, outputPath="out.avif", quality=100)
    picture.seek(1)
    alpha = picture.convert("RGBA").getchannel("A")
    assert [round((alpha.getpixel((x, 5)) or 0) / 255) for x in (5, 15, 25)] == [0, 1, 0]  # type: ignore[operator]


def test_frames_of_no_duration_are_shown_as_long_as_browsers_show_them(tmp_path: Path) -> None:
    FRAMES[0].save(tmp_path / "a.gif", save_all=True, append_images=FRAMES[1:], duration=0)
    _, picture = converted(tmp_path / "a.gif", outputPath="out.avif")
    assert [duration for duration, _ in played(picture)] == [100] * 4


@pytest.mark.parametrize("output", ["out.jpg", "out.png"])
def test_of_an_animation_jpg_and_png_hold_the_first_picture_and_the_log_says_so(output: str, tmp_path: Path) -> None:
    source = saved_animation(tmp_path / "a.gif")
    with inline_job(tmp_path) as run:
        result = webp(WebpPayload(input_path=source.name, output_path=output), run.job)
    assert run.lines == [f"the input is an animation: {output[4:]} holds its first picture, 3 are left out"]
    assert result.frames == 1
    with Image.open(tmp_path / output) as picture:
        assert getattr(picture, "n_frames", 1) == 1
        assert picture.convert("RGB").getpixel((5, 5)) == pytest.approx(RED, abs=8)


def test_the_poster_of_an_animated_png_is_its_first_picture(tmp_path: Path) -> None:
    poster = Image.new("RGB", (64, 48), (10, 20, 30))
    poster.save(tmp_path / "a.png", save_all=True, append_images=FRAMES, duration=100, default_image=True)
    _, picture = converted(tmp_path / "a.png", outputPath="out.jpg")
    assert picture.getpixel((5, 5)) == pytest.approx((10, 20, 30), abs=4)


@pytest.mark.parametrize("output", ["out.webp", "out.avif"])
def test_variants_of_an_animation_move_too(output: str, tmp_path: Path) -> None:
    source = saved_animation(tmp_path / "a.gif")
    result, _ = converted(source, outputPath=output, variants=[{"width": 16, "suffix": "-16"}])
    with Image.open(tmp_path / result["variants"][0]["outputPath"]) as variant:
        assert (variant.size, getattr(variant, "n_frames", 1)) == ((16, 12), 4)
