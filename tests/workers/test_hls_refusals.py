"""What the hls job refuses, and how it says so."""

from pathlib import Path

import pytest

from tests.workers import _samples_video as samples
from tests.workers._hls_runs import files_below, make_ladder
from workers._ffmpeg import binary
from workers._hls_models import HlsPayload
from workers.hls import hls
from workplatform.errors import (
    BadInputError,
    EncoderError,
    InputNotFoundError,
    JobError,
    PathForbiddenError,
)
from workplatform.testing import inline_job, run_inline


def a_reference_to(video: Path) -> dict[str, str]:
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{video}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{video}'\n",
        "dash": f'<?xml version="1.0"?><MPD type="static"><BaseURL>{video}</BaseURL></MPD>',
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns={video}\nm=video 9 RTP/AVP 96\n",
    }


def test_a_url_to_write_to_is_refused_and_not_asked(tmp_path: Path) -> None:
    samples.plain(tmp_path / "film.mp4", duration=1)

    with pytest.raises(BadInputError, match="/out cannot be written"):
        run_inline(hls, {"inputPath": "film.mp4", "outputDir": "http://127.0.0.1:9/out"}, root=tmp_path)


@pytest.mark.parametrize("kind", ["hls", "concat", "dash", "sdp"])
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8"])
def test_a_playlist_in_disguise_reaches_no_other_file(tmp_path: Path, kind: str, suffix: str) -> None:
    secret = samples.plain(tmp_path / "secret.ts", duration=1)
    (tmp_path / f"evil{suffix}").write_text(a_reference_to(secret)[kind])

    with pytest.raises(BadInputError, match=f"not a video: evil{suffix} is a playlist that refers to other files"):
        run_inline(hls, {"inputPath": f"evil{suffix}", "outputDir": "out"}, root=tmp_path)

    assert files_below(tmp_path) == {"secret.ts", f"evil{suffix}"}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.txt", b"hello\n" * 100, "not a video: no video stream in x.txt"),
        ("x.mp4", b"", "not a video: x.mp4 is empty"),
        ("x.mp4", b"\0\0\0\x18ftypisom" + b"\0" * 500, "damaged video: x.mp4 is cut off or its index is missing"),
        ("x.py", b"import os\n" * 50, "not a video: no video stream in x.py"),
    ],
)
def test_what_is_no_video_is_refused_in_a_sentence_and_leaves_nothing(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(BadInputError) as caught:
        run_inline(hls, {"inputPath": name, "outputDir": "new/out"}, root=tmp_path)

    assert caught.value.message == sentence
    assert not caught.value.retryable
    assert files_below(tmp_path) == {name}


def test_dolby_vision_without_a_picture_for_other_screens_is_refused_and_with_one_is_taken(tmp_path: Path) -> None:
    marked = ("-tag:v", "dvh1", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error")
    samples.ffmpeg(*samples.picture("64x36", 5, 1), "-pix_fmt", "yuv420p10le", *marked, tmp_path / "five.mp4")
    colours = "hevc_metadata=colour_primaries=9:transfer_characteristics=16:matrix_coefficients=9"
    samples.rewrapped(tmp_path / "five.mp4", tmp_path / "eight.mp4", "-tag:v", "dvh1", "-bsf:v", colours)

    with pytest.raises(BadInputError, match=r"five\.mp4 is Dolby Vision of profile 5, .*: give a version in HDR10"):
        run_inline(hls, {"inputPath": "five.mp4", "outputDir": "out"}, root=tmp_path)
    assert run_inline(hls, {"inputPath": "eight.mp4", "outputDir": "out"}, root=tmp_path)["qualities"] == ["480p"]


@pytest.mark.parametrize("name", ["out/film.mp4", "out/360p/segment_00000.ts", "out/a/b/film.mp4"])
@pytest.mark.parametrize("folder", ["out", "./x/../out/", "link"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_source_inside_the_output_folder_is_refused_and_kept(
    tmp_path: Path, name: str, folder: str, overwrite: bool
) -> None:
    source = tmp_path / name
    source.parent.mkdir(parents=True)
    samples.plain(source, duration=1)
    (tmp_path / "link").symlink_to("out")
    before, content = files_below(tmp_path), source.read_bytes()

    with pytest.raises(BadInputError) as caught:
        run_inline(hls, {"inputPath": name, "outputDir": folder, "overwrite": overwrite}, root=tmp_path)

    assert caught.value.message == f"{name} lies inside {folder}: give the stream a folder of its own"
    assert files_below(tmp_path) == before
    assert source.read_bytes() == content


def test_a_song_with_a_cover_is_no_video(tmp_path: Path) -> None:
    samples.song_with_cover(tmp_path / "song.mp3")

    with pytest.raises(BadInputError, match=r"not a video: no video stream in song\.mp3"):
        run_inline(hls, {"inputPath": "song.mp3", "outputDir": "out"}, root=tmp_path)


@pytest.mark.parametrize(
    ("path", "error"),
    [("missing.mp4", InputNotFoundError), ("../outside.mp4", PathForbiddenError), ("ftp://host/a.mp4", JobError)],
)
def test_missing_and_forbidden_inputs_are_refused(tmp_path: Path, path: str, error: type[JobError]) -> None:
    with pytest.raises(error) as caught:
        run_inline(hls, {"inputPath": path, "outputDir": "out"}, root=tmp_path)

    assert not caught.value.retryable
    assert files_below(tmp_path) == set()


def test_the_reason_of_a_failing_ffmpeg_is_in_the_error_and_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples.plain(tmp_path / "film.mp4", duration=1)
    broken = tmp_path / "ffmpeg"
    said = ["[libx264 @ 0x1] the encoder is on strike.", "Conversion failed!"]
    broken.write_text("#!/bin/sh\n" + "".join(f"echo '{line}' >&2\n" for line in said) + "exit 8\n")
    broken.chmod(0o755)
    monkeypatch.setenv("FFMPEG_BIN", str(broken))

    with (
        pytest.raises(EncoderError, match="ffmpeg could not make the renditions: the encoder is on strike"),
        inline_job(tmp_path) as run,
    ):
        hls(HlsPayload(input_path="film.mp4", output_dir="out"), run.job)

    assert run.lines[-2:] == said
    assert files_below(tmp_path) == {"film.mp4", "ffmpeg"}


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (": > low/playlist.m3u8", "the playlist of low"),
        ("for last in low/segment_00000.*; do head -c 1000 $last > cut; mv cut $last; done", "low/segment_00000"),
    ],
)
@pytest.mark.parametrize("segment_type", ["ts", "fmp4"])
def test_what_ffmpeg_could_not_write_and_did_not_tell_of_is_no_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str, sentence: str, segment_type: str
) -> None:
    samples.plain(tmp_path / "film.mp4")
    forgetful = tmp_path / "ffmpeg"
    forgetful.write_text(f'#!/bin/sh\n{binary()} "$@"\n{harm}\n')
    forgetful.chmod(0o755)
    monkeypatch.setenv("FFMPEG_BIN", str(forgetful))

    with pytest.raises(EncoderError, match=f"ffmpeg has not written all of {sentence}"):
        make_ladder(tmp_path / "film.mp4", segmentType=segment_type)
    assert files_below(tmp_path) == {"film.mp4", "ffmpeg"}
