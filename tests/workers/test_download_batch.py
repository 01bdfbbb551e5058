"""Batches of downloads: records side by side, each by itself."""

import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.receiver import Behaviour, Receiver, answering, receiving
from tests.waiting import eventually
from tests.workers._origins import CONTENT, MODIFIED, OTHER, Origin, head_of, left_over, routing, sending
from workers._download_models import DownloadPayload
from workers.download import download
from workplatform.errors import Cancelled, LeaseLostError
from workplatform.testing import inline_job, run_inline


def batch(url: str, *names: str) -> dict[str, Any]:
    """The payload of a batch as Lurl's client sends it."""
    records = [
        {"id": name, "pageUrl": f"{url}/page", "fileUrl": f"{url}/{name}", "backupPath": f"videos/{name}", "title": "x"}
        for name in names
    ]
    return {"records": records, "dataDir": "data", "usePuppeteer": False}


def test_one_bad_record_does_not_fail_the_rest(tmp_path: Path) -> None:
    page = answering("200 OK", b"<html><title>Log in</title></html>", "Content-Type: text/html")
    routes: dict[str, Behaviour] = {"/a.mp4": Origin(), "/b.mp4": Origin(OTHER), "/page.mp4": page}
    with receiving(routing(routes)) as receiver:
        result = run_inline(download, batch(receiver.url, "a.mp4", "gone.mp4", "page.mp4", "b.mp4"), root=tmp_path)
        host = f"{receiver.host}:{receiver.port}"
    assert result == {
        "total": 4,
        "success": 2,
        "failed": 2,
        "results": [
            {"id": "a.mp4", "success": True, "size": len(CONTENT)},
            {
                "id": "gone.mp4",
                "success": False,
                "error": f"{host} answered 404 Not Found",
                "errorCode": "source_http_4xx",
            },
            {
                "id": "page.mp4",
                "success": False,
                "error": "got a web page: 'Log in'",
                "errorCode": "unexpected_content",
            },
            {"id": "b.mp4", "success": True, "size": len(OTHER)},
        ],
    }
    assert (tmp_path / "data/videos/a.mp4").read_bytes() == CONTENT
    assert (tmp_path / "data/videos/b.mp4").read_bytes() == OTHER
    assert left_over(tmp_path) == ["data/videos/a.mp4", "data/videos/b.mp4"]
    assert receiver.requests[0].headers["referer"] == f"{receiver.url}/page"


@pytest.mark.parametrize(("names", "arrived"), [(("a",), 1), (("gone",), 0)])
def test_success_is_the_number_that_arrived(names: tuple[str, ...], arrived: int, tmp_path: Path) -> None:
    with receiving(routing({"/a": Origin()})) as receiver:
        result = run_inline(download, batch(receiver.url, *names), root=tmp_path)
    assert result["success"] == arrived
    assert type(result["success"]) is int


def test_records_run_side_by_side(tmp_path: Path) -> None:
    meeting = threading.Barrier(4)

    def meet(receiver: Receiver, connection: Any) -> None:
        request = receiver.read(connection)
        meeting.wait(20)
        connection.sendall(head_of("200 OK", {"Content-Length": "4", "X": request.line}) + b"same")

    with receiving(meet) as receiver:
        result = run_inline(download, batch(receiver.url, *"abcd"), root=tmp_path)
    assert result["success"] == 4


def test_a_record_is_visible_before_the_others_are_done(tmp_path: Path) -> None:
    seen = threading.Event()

    def wait_for_a(receiver: Receiver, connection: Any) -> None:
        eventually((tmp_path / "data/videos/a").exists)
        seen.set()
        Origin()(receiver, connection)

    with receiving(routing({"/a": Origin(), "/b": wait_for_a})) as receiver:
        assert run_inline(download, batch(receiver.url, "a", "b"), root=tmp_path)["success"] == 2
    assert seen.is_set()


def test_a_failure_that_may_pass_is_tried_again_within_the_job(tmp_path: Path) -> None:
    calls = count()

    def shaky(receiver: Receiver, connection: Any) -> None:
        busy = sending(head_of("429 Too Many", {"Retry-After": "1", "Content-Length": "0"}))
        (busy if next(calls) == 0 else Origin())(receiver, connection)

    with receiving(shaky) as receiver:
        assert run_inline(download, batch(receiver.url, "a"), root=tmp_path)["success"] == 1
    assert receiver.connections == 2


def test_a_record_outside_the_roots_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/out").symlink_to("/etc")
    with receiving(Origin()) as receiver:
        payload = batch(receiver.url, "a", "b")
        payload["records"][1]["backupPath"] = "out/b"
        result = run_inline(download, payload, root=tmp_path)
    assert result["results"][1]["errorCode"] == "path_forbidden"
    assert result["success"] == 1


@pytest.mark.parametrize("reason", [Cancelled(), LeaseLostError()])
def test_what_ends_the_attempt_ends_every_record_and_none_is_reported_failed(
    reason: Cancelled | LeaseLostError, tmp_path: Path
) -> None:
    def hold(receiver: Receiver, connection: Any) -> None:
        receiver.read(connection)
        connection.sendall(head_of("200 OK", {"Content-Length": "100000"}) + CONTENT[:2000])
        receiver.hold()

    with (
        receiving(routing({"/a": Origin(), "/b": hold, "/c": hold})) as receiver,
        pytest.raises(type(reason)),
        inline_job(tmp_path) as run,
    ):
        stopper = threading.Thread(
            target=lambda: (eventually((tmp_path / "data/videos/a").exists), run.pulse.stop(reason))
        )
        stopper.start()
        try:
            download(DownloadPayload.model_validate(batch(receiver.url, "a", "b", "c")), run.job)
        finally:
            stopper.join()
    assert run.lines == []
    assert (tmp_path / "data/videos/a").read_bytes() == CONTENT


def test_progress_is_told_over_all_records(tmp_path: Path) -> None:
    with receiving(Origin(headers={"Last-Modified": MODIFIED})) as receiver, inline_job(tmp_path) as run:
        download(DownloadPayload.model_validate(batch(receiver.url, "a", "b")), run.job)
        run.look()
    progress, stage, message = run.told[-1]
    assert (progress, stage) == (100.0, "downloading")
    assert message.startswith("2 of 2 files, 600 kB")
