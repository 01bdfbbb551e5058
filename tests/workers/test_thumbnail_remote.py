"""Tests of thumbnails of videos elsewhere: the same picture, for a few of the bytes."""

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.storage.origins import Answer, serving, without_ranges
from tests.storage.stores import Store, running_store
from tests.workers._samples_video import ffmpeg
from workers.thumbnail import thumbnail
from workplatform.errors import BadInputError, JobError, SourceFailedError
from workplatform.testing import run_inline

GIB = 1 << 30
FILM_BYTES = 4 * GIB


def film(path: Path, *options: str) -> Path:
    """Make 40 s of video, and of it a file of 4 GB: the same boxes with nothing, far and wide, between or after."""
    source = ("-f", "lavfi", "-i", "testsrc=size=320x180:rate=25:duration=40")
    ffmpeg(*source, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-g", "50", *options, path)
    data = path.read_bytes()
    cut = data.rindex(b"moov") - 4 if data.rindex(b"moov") > data.index(b"mdat") else len(data)
    rest = data[cut:]
    hole = FILM_BYTES - len(data)
    with path.open("r+b") as file:
        file.seek(cut)
        file.write(struct.pack(">I4sQ", 1, b"free", hole))
        file.seek(cut + hole)
        file.write(rest)
        file.truncate(cut + hole + len(rest))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the films are."""
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def with_index_behind(folder: Path) -> Path:
    """A film whose index is at its end, as cameras write it."""
    return film(folder / "behind.mp4")


@pytest.fixture(scope="module")
def with_index_before(folder: Path) -> Path:
    """A film whose index is at its start, as the web likes it."""
    return film(folder / "before.mp4", "-movflags", "+faststart")


@pytest.mark.parametrize("which", ["with_index_behind", "with_index_before"])
@pytest.mark.parametrize("fields", [{"timestamp": "30"}, {"timestamp": "90%", "accuracy": "keyframe"}])
def test_a_film_of_4_gb_costs_a_few_hundred_kb(
    which: str, fields: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(which)
    local = run_inline(thumbnail, {"videoPath": path.name, "outputPath": "local.png", **fields}, root=path.parent)
    with serving(path) as origin:
        result = run_inline(thumbnail, {"videoPath": origin.url, "outputPath": "a.png", **fields}, root=tmp_path)
    assert (tmp_path / "a.png").read_bytes() == (path.parent / "local.png").read_bytes()
    assert result == {**local, "outputPath": "a.png"}
    assert origin.sent < 1_500_000
    assert len(origin.ranges) < 12


def test_nothing_else_of_a_film_is_put_on_disk(with_index_behind: Path, tmp_path: Path) -> None:
    with serving(with_index_behind) as origin:
        run_inline(thumbnail, {"videoPath": origin.url, "outputPath": "a.webp"}, root=tmp_path)
    assert [entry.name for entry in tmp_path.rglob("*") if entry.is_file()] == ["a.webp"]


def test_a_film_that_breaks_off_while_it_is_read_is_no_damaged_video(with_index_behind: Path, tmp_path: Path) -> None:
    def bend(number: int, answer: Answer) -> Answer:
        return answer if number < 3 else replace(answer, headers=answer.headers | {"ETag": '"two"'})

    payload = {"videoPath": "", "outputPath": "a.webp", "timestamp": "30"}
    with serving(with_index_behind, bend) as origin, pytest.raises(SourceFailedError, match="changed while"):
        run_inline(thumbnail, payload | {"videoPath": origin.url}, root=tmp_path)
    assert not (tmp_path / "a.webp").exists()


def test_something_else_than_a_video_is_named_without_the_secrets_of_its_url(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("<html>" * 100_000)
    payload = {"videoPath": "", "outputPath": "a.webp"}
    with serving(tmp_path / "page") as origin, pytest.raises(BadInputError) as caught:
        run_inline(thumbnail, payload | {"videoPath": origin.url}, root=tmp_path)
    assert caught.value.message == "not a video: no video stream in a film.mp4"


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "ffconcat version 1.0\nfile /etc/passwd\n"]
)
def test_a_remote_playlist_leads_nowhere(tmp_path: Path, text: str) -> None:
    (tmp_path / "list").write_text(text)
    with serving(tmp_path / "list") as origin, pytest.raises(BadInputError, match="refers to other files"):
        run_inline(thumbnail, {"videoPath": origin.url, "outputPath": "a.webp"}, root=tmp_path)


def test_a_server_without_ranges_gives_the_same_picture(folder: Path, tmp_path: Path) -> None:
    small = folder / "small.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=320x180:rate=25:duration=2", "-pix_fmt", "yuv420p", small)
    with serving(small, without_ranges(small.stat().st_size)) as origin:
        run_inline(thumbnail, {"videoPath": origin.url, "outputPath": "a.png"}, root=tmp_path)
    run_inline(thumbnail, {"videoPath": "small.mp4", "outputPath": "b.png"}, root=folder)
    assert (tmp_path / "a.png").read_bytes() == (folder / "b.png").read_bytes()


def test_a_file_too_large_for_a_server_without_ranges_is_not_fetched(with_index_behind: Path, tmp_path: Path) -> None:
    with serving(with_index_behind, without_ranges(1 << 50)) as origin, pytest.raises(JobError):
        run_inline(thumbnail, {"videoPath": origin.url, "outputPath": "a.png"}, root=tmp_path)
    assert origin.sent < 32_000_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An S3 server."""
    with running_store(tmp_path_factory.mktemp("s3")) as store:
        yield store


def test_from_store_to_store(store: Store, folder: Path, tmp_path: Path) -> None:
    source = folder / "store.mp4"
    grainy = ("-f", "lavfi", "-i", "testsrc=size=320x180:rate=25:duration=3,noise=alls=80:allf=t")
    ffmpeg(*grainy, "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-crf", "5", source)
    payload = {"videoPath": store.put("films/a.mp4", source.read_bytes()), "outputPath": "s3://media/thumbs/a.webp"}
    result = run_inline(thumbnail, payload, root=tmp_path, account=store.account())
    assert source.stat().st_size > 2_000_000
    assert result["outputPath"] == "s3://media/thumbs/a.webp"
    assert len(store.get("thumbs/a.webp")) == result["size"]
    assert [entry.name for entry in tmp_path.rglob("*") if entry.is_file()] == []
