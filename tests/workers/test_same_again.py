"""Running the same job twice leaves the same files, byte for byte, in the same place or in another one.

Of HLS in H.264 it is the same playlists and the same moments of picture and sound: threads of x264 look at how far the
others are where bitrates have a ceiling and where a film ends, so the bits of a picture depend on which was faster. Of
a preview in H.264 it is pictures that nobody can tell apart: once in a while one has other bits.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from shutil import copy2
from typing import Any

import av
import pytest
from PIL import Image, ImageChops, ImageStat

from tests.workers._samples_video import plain
from tests.workers._seams import Tape, tapes
from workers.encode import encode
from workers.hls import hls
from workers.preview import preview
from workers.storyboard import storyboard
from workers.thumbnail import thumbnail
from workers.webp import webp
from workplatform.testing import run_inline

QUALITIES = [{"name": "high", "height": 180}, {"name": "low", "height": 90}]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short film."""
    return plain(tmp_path_factory.mktemp("video") / "film.mp4")


def contents(folder: Path) -> dict[str, str]:
    """The digests of everything below a folder, the hidden files too, but not the platform's own folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".workplatform" not in path.parts
    }


def moments(folder: Path) -> tuple[dict[str, str], dict[str, Tape]]:
    """The same, but of the segments only when which picture and which sound comes, and of the master only its name."""
    coded = ("master.m3u8", ".ts")
    found = {name: "" if name.endswith(coded) else digest for name, digest in contents(folder).items()}
    return found, tapes(folder / "out" / "hls")


def pictures(path: Path) -> list[tuple[int | None, Image.Image]]:
    """The pictures of a video with their times."""
    with av.open(str(path)) as container:
        return [(frame.pts, frame.to_image()) for frame in container.decode(video=0)]  # type: ignore[no-untyped-call]


def run_in(root: Path, handler: Callable[..., Any], payload: dict[str, Any], source: Path) -> dict[str, Any]:
    root.mkdir(exist_ok=True)
    copy2(source, root / "source")
    return run_inline(handler, payload, root=root)


def assert_same_again(tmp_path: Path, handler: Callable[..., Any], payload: dict[str, Any], source: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    first = run_in(here, handler, payload, source)
    made = contents(here)
    assert len(made) > 1, "something was made"
    second = run_in(here, handler, payload, source)
    assert contents(here) == made
    assert second == first
    run_in(there, handler, payload, source)
    assert contents(there) == made
    for root in (here, there):
        left = [path for path in (root / ".workplatform").rglob("*") if path.is_file() or path.parent.name == "work"]
        assert left == []


@pytest.mark.parametrize("suffix", ["webp", "gif"])
def test_a_preview_is_the_same_again(tmp_path: Path, video: Path, suffix: str) -> None:
    payload = {"videoPath": "source", "outputPath": f"out/preview.{suffix}", "duration": 1, "width": 160}
    assert_same_again(tmp_path, preview, payload, video)


def test_a_preview_in_h264_shows_the_same_again(tmp_path: Path, video: Path) -> None:
    payload = {"videoPath": "source", "outputPath": "out/preview.mp4", "duration": 1, "width": 160}
    made = []
    for place in ("here", "here", "there"):
        run_in(tmp_path / place, preview, payload, video)
        made.append(pictures(tmp_path / place / "out" / "preview.mp4"))
    first, *others = made
    for again in others:
        assert [moment for moment, _ in again] == [moment for moment, _ in first]
        for (_, picture), (_, expected) in zip(again, first, strict=True):
            assert max(ImageStat.Stat(ImageChops.difference(picture, expected)).mean) < 2


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_a_storyboard_is_the_same_again(tmp_path: Path, video: Path, suffix: str) -> None:
    payload = {"videoPath": "source", "outputDir": "out/board", "interval": 0.5, "columns": 2, "format": suffix}
    assert_same_again(tmp_path, storyboard, payload, video)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_thumbnail_is_the_same_again(tmp_path: Path, video: Path, suffix: str) -> None:
    payload = {"videoPath": "source", "outputPath": f"out/thumbnail.{suffix}", "timestamp": "50%", "width": 160}
    assert_same_again(tmp_path, thumbnail, payload, video)


def test_a_webp_is_the_same_again(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    Image.effect_mandelbrot((320, 180), (-2, -1.5, 1, 1.5), 30).save(picture)
    assert_same_again(tmp_path, webp, {"inputPath": "source", "outputPath": "out/picture.webp"}, picture)


@pytest.mark.parametrize(
    ("suffix", "asked"), [("mp4", {}), ("mkv", {"codec": "av1"}), ("webm", {}), ("mp4", {"targetSize": "60k"})]
)
def test_an_encoded_video_is_the_same_again(tmp_path: Path, video: Path, suffix: str, asked: dict[str, Any]) -> None:
    payload = {"inputPath": "source", "outputPath": f"out/film.{suffix}", "preset": "ultrafast", "width": 160, **asked}
    assert_same_again(tmp_path, encode, payload, video)


def test_a_ladder_is_the_same_again(tmp_path: Path, video: Path) -> None:
    payload = {"inputPath": "source", "outputDir": "out/hls", "qualities": QUALITIES, "overwrite": True}
    run_in(tmp_path / "here", hls, payload, video)
    made = moments(tmp_path / "here")
    assert len(made[1]["low"].pictures) == 50
    for place in ("here", "there"):
        run_in(tmp_path / place, hls, payload, video)
        assert moments(tmp_path / place) == made


def test_a_ladder_that_is_there_already_is_left_as_it_is(tmp_path: Path, video: Path) -> None:
    payload = {"inputPath": "source", "outputDir": "out/hls", "qualities": QUALITIES}
    assert run_in(tmp_path / "here", hls, payload, video)["skipped"] is False
    made = contents(tmp_path / "here")
    assert run_inline(hls, payload, root=tmp_path / "here")["skipped"] is True
    assert contents(tmp_path / "here") == made
