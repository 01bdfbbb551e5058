"""Tests of folders in a store: sent while they are made, complete when their last file is there, gone if they fail."""

from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.storage.stores import BUCKET, Fate, Store, proxied
from tests.waiting import eventually
from tests.workers import _samples_video as samples
from tests.workers._samples_video import ffmpeg
from workers.hls import hls
from workplatform.context import Output
from workplatform.errors import BadInputError, EncoderError, StorageRefusedError
from workplatform.testing import InlineRun, inline_job, run_inline


def planned(run: InlineRun) -> Output:
    """Plan a folder such as the hls job makes."""
    return run.job.output(f"s3://{BUCKET}/show", directory=True, last="master", owned=("*/seg_[0-9]",))


def test_what_is_complete_is_sent_while_the_rest_is_made(s3: Store, tmp_path: Path) -> None:
    with inline_job(tmp_path, account=s3.account()) as run:
        output = planned(run)
        (output.path / "720p").mkdir()
        (output.path / "720p" / "seg_0").write_text("zero")
        output.finish("720p/seg_0")
        eventually(lambda: [key.rsplit("/", 1)[-1] for key in s3.names()] == ["seg_0"])
        assert all("/." in key for key in s3.names())
        (output.path / "720p" / "seg_1").write_text("one")
        (output.path / "master").write_text("all")
    assert sorted(s3.names()) == ["show/720p/seg_0", "show/720p/seg_1", "show/master"]
    assert s3.get("show/720p/seg_0") == b"zero"


def test_the_last_file_goes_first_and_comes_last(s3: Store, tmp_path: Path) -> None:
    for name in ("show/master", "show/720p/seg_0", "show/720p/seg_7", "show/720p/notes.txt", "showroom/720p/seg_9"):
        s3.put(name, b"old")

    def fate(_number: int, _request: BaseHTTPRequestHandler) -> Fate:
        return "pass"

    with proxied(s3, fate) as proxy, inline_job(tmp_path, account=s3.account(proxy.url)) as run:
        output = planned(run)
        (output.path / "720p").mkdir()
        (output.path / "720p" / "seg_0").write_text("new")
        (output.path / "master").write_text("new")
    steps = [(request.method, request.path.rpartition("/show/")[2]) for request in proxy.passed]
    visible = [step for step in steps if "/show/." not in step[1] and ".part/" not in step[1] and step[0] != "GET"]
    assert visible == [("DELETE", "master"), ("PUT", "720p/seg_0"), ("DELETE", "720p/seg_7"), ("PUT", "master")]
    assert sorted(s3.names()) == ["show/720p/notes.txt", "show/720p/seg_0", "show/master", "showroom/720p/seg_9"]


def test_a_folder_that_fails_leaves_what_was_there(s3: Store, tmp_path: Path) -> None:
    s3.put("show/master", b"old")
    with pytest.raises(BadInputError), inline_job(tmp_path, account=s3.account()) as run:
        output = planned(run)
        (output.path / "seg_0").write_text("zero")
        run.files.send()
        assert len(s3.names()) == 2
        raise BadInputError
    assert s3.names() == ["show/master"]
    assert not list(tmp_path.rglob("*.part"))


def test_a_failure_while_sending_is_told_at_the_next_file(s3: Store, tmp_path: Path) -> None:
    def fate(_number: int, request: BaseHTTPRequestHandler) -> Fate:
        request.path = request.path.replace("/media", "/missing", 1)
        return "pass"

    def go_on(output: Output, number: int) -> bool:
        (output.path / f"seg_{number}").write_text("x")
        output.finish(f"seg_{number}")
        return False

    with (
        proxied(s3, fate) as proxy,
        pytest.raises(StorageRefusedError, match="there is no bucket"),
        inline_job(tmp_path, account=s3.account(proxy.url)) as run,
    ):
        output, numbers = planned(run), iter(range(1000))
        eventually(lambda: go_on(output, next(numbers)))
    assert not list((tmp_path / ".workplatform" / "uploads").iterdir())


def test_an_hls_stream_is_made_from_store_to_store(s3: Store, tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    source = ("-f", "lavfi", "-i", "testsrc=size=320x180:rate=10:duration=20")
    ffmpeg(*source, "-pix_fmt", "yuv420p", "-preset", "ultrafast", video)
    payload = {"inputPath": s3.put("a.mp4", video.read_bytes()), "outputDir": f"s3://{BUCKET}/show/"}
    result = run_inline(hls, payload | {"qualities": ["144p"]}, root=tmp_path, account=s3.account())
    assert result["hlsPath"] == f"s3://{BUCKET}/show/master.m3u8"
    names = [f"show/144p/segment_0000{number}.ts" for number in range(4)]
    assert sorted(s3.names()) == ["a.mp4", "show/144p/playlist.m3u8", *names, "show/master.m3u8"]
    assert s3.head("show/master.m3u8")["ContentType"] == "application/vnd.apple.mpegurl"
    assert s3.head(names[0])["ContentType"] == "video/mp2t"
    assert sum(s3.head(name)["ContentLength"] for name in names) == result["size"]


def test_a_file_that_was_sent_and_then_replaced_is_sent_again(s3: Store, tmp_path: Path) -> None:
    with inline_job(tmp_path, account=s3.account()) as run:
        output = planned(run)
        (output.path / "seg_0").write_text("plain")
        output.finish("seg_0")
        (output.path / "sealed").write_text("sealed")
        (output.path / "sealed").replace(output.path / "seg_0")
        (output.path / "master").write_text("all")
    assert s3.get("show/seg_0") == b"sealed"


def test_a_folder_in_a_store_goes_on_with_what_an_earlier_attempt_finished(s3: Store, tmp_path: Path) -> None:
    def resumable(run: InlineRun) -> Output:
        return run.job.output(f"s3://{BUCKET}/show", directory=True, last="master", resume=True)

    with pytest.raises(EncoderError), inline_job(tmp_path, account=s3.account(), is_tried_again=True) as run:
        output = resumable(run)
        output.note.write_text("settings 1")
        (output.path / "seg_0").write_text("zero")
        output.keep("seg_0")
        output.finish("seg_0")
        (output.path / "seg_1").write_text("half")
        raise EncoderError
    assert not s3.names()
    with inline_job(tmp_path, account=s3.account(), attempt=2) as run:
        output = resumable(run)
        assert [entry.name for entry in output.path.iterdir()] == ["seg_0"]
        assert output.note.read_text() == "settings 1"
        with pytest.raises(BadInputError, match="in a store"):
            output.may_show()
        (output.path / "master").write_text("all")
    assert sorted(s3.names()) == ["show/master", "show/seg_0"]
    assert not list((tmp_path / ".workplatform" / "work").glob(".job_*"))


def test_an_hls_job_shows_nothing_early_in_a_store(s3: Store, tmp_path: Path) -> None:
    samples.plain(tmp_path / "film.mp4", size="160x90", rate=10, duration=1)
    payload = {"inputPath": "film.mp4", "outputDir": f"s3://{BUCKET}/out", "earlyMaster": True}
    with pytest.raises(BadInputError, match=r"earlyMaster: .* give a path, or leave out earlyMaster"):
        run_inline(hls, payload, root=tmp_path, account=s3.account())
    assert s3.names() == []
