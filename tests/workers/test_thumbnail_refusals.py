"""Tests of what the job type `thumbnail` refuses, and of damaged videos."""

from pathlib import Path
from typing import Any

import pytest

from tests.workers._samples_images import CORNERS, assert_corners, corners_picture, corners_video, numbered_video
from tests.workers._samples_video import ffmpeg, song_with_cover
from tests.workers.test_thumbnail import X264, taken
from workers._thumbnails import make_thumbnails
from workers.thumbnail import ThumbnailPayload, thumbnail
from workplatform.errors import BadInputError
from workplatform.testing import run_inline


def refusal(video: Path, **fields: Any) -> str:
    """Run the job on something that is no usable video; return its sentence, having checked that nothing is left."""
    payload = {"videoPath": video.name, "outputPath": "thumbs/out.webp", **fields}
    with pytest.raises(BadInputError) as caught:
        run_inline(thumbnail, payload, root=video.parent)
    assert not list(video.parent.glob("thumbs/*"))
    assert str(video.parent) not in caught.value.message
    return caught.value.message


@pytest.fixture(scope="module")
def corners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of the four quarters."""
    return corners_video(tmp_path_factory.mktemp("corners") / "corners.mp4")


def test_audio_alone_is_no_video(tmp_path: Path) -> None:
    song = tmp_path / "song.m4a"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", song)
    assert refusal(song) == "not a video: no video stream in song.m4a"


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    song = song_with_cover(tmp_path / "song.mp3")
    assert refusal(song) == "not a video: no video stream in song.mp3 (only cover art)"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.txt", b"only words, and then some more of them\n" * 50, "not a video: no video stream in x.txt"),
        ("x.mp4", b"", "not a video: x.mp4 is empty"),
        ("x.mp4", b"\x00\x01\x02\x03" * 5000, "not a video: no video stream in x.mp4"),
    ],
)
def test_what_is_no_video_is_refused_with_a_sentence(name: str, content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(path) == sentence


def test_a_video_of_an_unknown_codec_is_refused_with_a_sentence(corners: Path, tmp_path: Path) -> None:
    (tmp_path / "locked.mp4").write_bytes(corners.read_bytes().replace(b"avc1", b"zzz9"))
    sentence = "locked.mp4 holds a video that cannot be decoded here: its codec is unknown"
    assert refusal(tmp_path / "locked.mp4") == sentence


def test_a_still_picture_is_no_video(tmp_path: Path) -> None:
    corners_picture().save(tmp_path / "a.png")
    assert refusal(tmp_path / "a.png") == "not a video: no video stream in a.png"


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{secret}'\n",
        "\ufeffffconcat version 1.0\nfile '{secret}'\n",
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>\n',
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8", "a.ffconcat", "a.mpd"])
def test_a_playlist_does_not_open_the_files_it_names(name: str, content: str, corners: Path, tmp_path: Path) -> None:
    playlist = tmp_path / name
    playlist.write_text(content.format(secret=corners), encoding="utf-8")
    assert refusal(playlist) == f"not a video: {name} is a playlist that refers to other files"


def test_a_name_that_looks_like_a_pattern_or_a_protocol_is_just_a_name(corners: Path, tmp_path: Path) -> None:
    for name in ("frame%03d.mp4", "concat:a.mp4|b.mp4", "-i.mp4", "file:x.mp4"):
        (tmp_path / name).write_bytes(corners.read_bytes())
        assert_corners(taken(tmp_path / name, timestamp=0)[1], *CORNERS)


def test_a_video_cut_off_before_its_index_is_refused(tmp_path: Path) -> None:
    whole = numbered_video(tmp_path / "whole.mp4", *X264)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert refusal(cut) == "damaged video: cut.mp4 is cut off or its index is missing"


def test_a_video_cut_off_after_its_index_gives_what_it_has_and_no_more(tmp_path: Path) -> None:
    whole = numbered_video(tmp_path / "whole.mp4", *X264, "-movflags", "+faststart", seconds=6)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert taken(cut, timestamp=1)[0]["timestamp"] == 1
    assert refusal(cut, timestamp="5.5").startswith("damaged video: cut.mp4 ends after ")


def test_damage_makes_no_noise_on_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    video = numbered_video(tmp_path / "a.ts", *X264)
    data = bytearray(video.read_bytes())
    data[20000:24000] = bytes(4000)
    video.write_bytes(data)
    payload = ThumbnailPayload(video_path="a.ts", output_path="a.webp", timestamp="2.5")
    assert not list(make_thumbnails(video, [tmp_path / "a.webp"], payload))
    assert (tmp_path / "a.webp").exists()
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
