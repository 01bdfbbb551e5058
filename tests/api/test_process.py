"""The API as a process: stopping, a store that goes away, and many clients."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
import requests

from tests.api.reading import Reader
from tests.api.running import JOB, Running, running_api, running_both, settings_in
from tests.waiting import eventually
from workplatform import embedded
from workplatform.settings import Settings

Listen = Callable[..., Reader]


@contextmanager
def a_server(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run the embedded server so that the test can kill it."""
    embedded.prepare(settings)
    server = subprocess.Popen(embedded.command(settings), stdout=subprocess.DEVNULL)
    try:
        embedded.wait_ready(settings)
        yield server
    finally:
        server.kill()
        server.wait()


def test_sigterm_ends_streams_and_idle_connections_and_leaves_nothing(tmp_path: Path, listen: Listen) -> None:
    with running_both(tmp_path) as api:
        readers = [listen(api.url), listen(api.url, named="1")]
        idle = HTTPConnection("127.0.0.1", api.settings.port)
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        everyone = [psutil.Process(api.process.pid), *psutil.Process(api.process.pid).children(recursive=True)]

        assert api.stop() == 0
        eventually(lambda: all(reader.is_over for reader in readers))
        assert not any(process.is_running() for process in everyone)
        assert "Traceback" not in api.log_file.read_text()
        idle.close()


def test_a_killed_arbiter_takes_its_worker_along_and_frees_the_port(tmp_path: Path, listen: Listen) -> None:
    with running_both(tmp_path) as api:
        reader = listen(api.url)
        workers = psutil.Process(api.process.pid).children(recursive=True)
        api.process.send_signal(signal.SIGKILL)
        eventually(lambda: not any(worker.is_running() for worker in workers))
        socket.create_server(("127.0.0.1", api.settings.port)).close()
        assert eventually(lambda: reader.is_over)


def test_without_a_store_the_api_says_so_and_recovers_by_itself(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with running_api(tmp_path) as api:
        for method, path, body in (
            ("POST", "/api/jobs", JOB),
            ("POST", "/api/jobs", [JOB, JOB]),
            ("GET", "/api/jobs", None),
            ("GET", "/api/stats", None),
        ):
            response = requests.request(method, f"{api.url}{path}", json=body, timeout=10)
            assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
            assert response.json()["code"] == "store_unavailable"
        ready = requests.get(f"{api.url}/readyz", timeout=10)
        assert (ready.status_code, ready.headers["Content-Type"]) == (503, "application/problem+json")
        assert requests.get(f"{api.url}/healthz", timeout=10).ok
        with a_server(settings):
            eventually(lambda: requests.post(f"{api.url}/api/jobs", json=JOB, timeout=10).status_code == 202)


def test_a_store_that_hangs_is_given_up_on(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with a_server(settings) as server, running_api(tmp_path) as api:
        api.submit()
        os.kill(server.pid, signal.SIGSTOP)
        calls = [
            lambda: requests.post(f"{api.url}/api/jobs", json=JOB, timeout=12),
            lambda: requests.get(f"{api.url}/api/jobs", timeout=12),
            lambda: requests.get(f"{api.url}/api/jobs/job_00000000000000000000000000", timeout=12),
            lambda: requests.get(f"{api.url}/readyz", timeout=12),
        ]
        with ThreadPoolExecutor(len(calls)) as pool:
            answers = list(pool.map(lambda call: call(), calls))
        os.kill(server.pid, signal.SIGCONT)
        assert [answer.status_code for answer in answers] == [503] * len(calls)


def test_streams_outlive_the_store_and_lose_nothing(tmp_path: Path, listen: Listen) -> None:
    settings = settings_in(tmp_path)
    with running_api(tmp_path) as api:
        with a_server(settings):
            reader = listen(api.url)
            first = api.submit()
            eventually(lambda: reader.told(first))
        eventually(lambda: reader.named("stream:unavailable"))
        while_away = listen(api.url, headers={"Last-Event-ID": reader.events[-2].id or "0-0"})
        eventually(lambda: while_away.named("stream:unavailable"))
        assert all(event.name for event in reader.named("stream:unavailable"))
        with a_server(settings):
            eventually(lambda: reader.named("stream:resumed"))
            second = _submitted_at_last(api)
            eventually(lambda: reader.told(second) and while_away.told(second))
        assert reader.told(first) == ["job:queued"]
        assert reader.told(second) == while_away.told(second) == ["job:queued"]
        assert not reader.named("stream:reset")


def test_a_store_that_lost_its_data_makes_clients_look_again(tmp_path: Path, listen: Listen) -> None:
    settings = settings_in(tmp_path)
    with running_api(tmp_path) as api:
        with a_server(settings):
            reader = listen(api.url)
            eventually(lambda: reader.told(api.submit()))
        eventually(lambda: reader.named("stream:unavailable"))
        for file in sorted((settings.data_dir / "valkey").rglob("*.*")):
            if file.is_file():
                file.unlink()
        with a_server(settings):
            eventually(lambda: reader.named("stream:reset"))
            job_id = _submitted_at_last(api)
            eventually(lambda: reader.told(job_id))


def _submitted_at_last(api: Running) -> str:
    """Submit as a client does that tries again after 503."""

    def attempt() -> str:
        response = requests.post(f"{api.url}/api/jobs", json=JOB, timeout=10)
        return str(response.json()["jobId"]) if response.status_code == 202 else ""

    return eventually(attempt)


def test_many_connections_one_after_the_other_use_up_nothing(tmp_path: Path) -> None:
    with running_both(tmp_path) as api:
        for _ in range(1100):  # more than the pool of connections to Redis holds
            with socket.create_connection(("127.0.0.1", api.settings.port)) as sock:
                sock.sendall(b"GET /api/jobs?limit=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert sock.recv(100).startswith(b"HTTP/1.1 200")


def test_submissions_at_the_same_time_are_each_answered_with_their_own_job(tmp_path: Path) -> None:
    with running_both(tmp_path) as api:

        def submit(number: int) -> tuple[str, str]:
            tag = f"tag-{number}"
            return tag, api.submit(tags=[tag])

        with ThreadPoolExecutor(16) as pool:
            receipts = list(pool.map(submit, range(300)))
        assert len({job_id for _, job_id in receipts}) == 300
        for tag, job_id in receipts[::10]:
            assert requests.get(f"{api.url}/api/jobs/{job_id}", timeout=10).json()["tags"] == [tag]


def test_wrong_settings_end_the_process_with_a_sentence(tmp_path: Path) -> None:
    environ = {**os.environ, "BIND_HOST": "0.0.0.0", "DATA_DIR": str(tmp_path)}  # noqa: S104 - that is what is wrong
    environ.pop("API_KEY", None)
    ended = subprocess.run(
        [sys.executable, "-m", "api"], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "set API_KEY" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n", 400),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Y: z\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_what_is_not_http_gets_a_problem_too(api: Running, request_bytes: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", api.settings.port), timeout=10) as sock:
        sock.sendall(request_bytes)
        answer = b""
        while part := sock.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == status


def test_a_chunked_body_is_a_body_too_and_bounded(api: Running) -> None:
    def parts(number: int) -> Iterator[bytes]:
        yield b'{"type":"noop","payload":{}'
        for _ in range(number):
            yield b" " * 1_000_000
        yield b"}"

    headers = {"Content-Type": "application/json"}
    assert requests.post(f"{api.url}/api/jobs", data=parts(1), headers=headers, timeout=20).status_code == 202
    refused = requests.post(f"{api.url}/api/jobs", data=parts(10), headers=headers, timeout=20)
    assert (refused.status_code, refused.json()["status"]) == (413, 413)
