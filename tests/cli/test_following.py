"""Following a job where the network is unkind: a scripted HTTP server stands where a proxy would."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from workplatform.cli.client import ApiClient, ApiError, UnreachableError
from workplatform.cli.following import follow

Answer = tuple[int, str]


def a_job(status: str, **fields: object) -> Answer:
    """Return the API's answer for a job."""
    return 200, json.dumps({"jobId": "job_1", "type": "hls", "status": status, **fields})


@contextmanager
def scripted(jobs: list[Answer], events: list[Answer]) -> Iterator[ApiClient]:
    """Serve these answers in turn, the last one for ever."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script = events if self.path.startswith("/api/events") else jobs
            status, text = script.pop(0) if len(script) > 1 else script[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield ApiClient(f"http://127.0.0.1:{server.server_port}", None)
        server.shutdown()
        thread.join()


def statuses(client: ApiClient) -> list[str]:
    """Follow the job; returns each status it was seen in, without repetitions."""
    seen = [change["status"] for change in follow(client, ["job_1"])]
    return [status for i, status in enumerate(seen) if i == 0 or status != seen[i - 1]]


@pytest.mark.parametrize("stream", [(200, ""), (404, "{}"), (502, "<html>"), (200, ": nothing\n\n")])
def test_without_a_stream_the_job_is_asked_for(stream: Answer) -> None:
    with scripted([a_job("queued"), a_job("running"), a_job("running"), a_job("completed")], [stream]) as client:
        assert statuses(client) == ["queued", "running", "completed"]


def test_the_end_told_by_the_stream_brings_the_whole_job() -> None:
    told = 'data: {"event": "job:completed", "jobId": "job_1", "type": "hls", "status": "completed"}\n\n'
    jobs = [a_job("running"), a_job("running"), a_job("completed", result={"success": True})]
    with scripted(jobs, [(200, told)]) as client:
        assert list(follow(client, ["job_1"]))[-1]["result"] == {"success": True}


def test_events_of_other_jobs_and_log_lines_are_passed_over() -> None:
    told = (
        'data: {"event": "job:log", "jobId": "job_1", "type": "hls", "status": "running", "lines": ["x"]}\n\n'
        'data: {"event": "job:failed", "jobId": "job_2", "type": "hls", "status": "failed"}\n\n'
    )
    with scripted([a_job("running"), a_job("running"), a_job("completed")], [(200, told)]) as client:
        assert statuses(client) == ["running", "completed"]


def test_a_store_that_is_away_for_a_moment_is_waited_for() -> None:
    away = 503, json.dumps({"error": "the job store does not answer"})
    with scripted([a_job("running"), away, away, a_job("completed")], [away]) as client:
        assert statuses(client) == ["running", "completed"]


def test_a_platform_that_was_never_there_is_told_at_once() -> None:
    with pytest.raises(UnreachableError):
        list(follow(ApiClient("http://127.0.0.1:1", None), ["job_1"]))


def test_a_job_that_does_not_exist_ends_it_with_the_apis_words() -> None:
    with scripted([(404, '{"error": "there is no job job_1"}')], [(200, "")]) as client:
        with pytest.raises(ApiError, match="there is no job job_1") as caught:
            list(follow(client, ["job_1"]))
        assert caught.value.exit_code == 5


def test_an_answer_that_is_not_json_is_a_sentence() -> None:
    with scripted([(200, "<html>")], [(200, "")]) as client, pytest.raises(ApiError, match="is not a Work Platform"):
        client.job("job_1")
