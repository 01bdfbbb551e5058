"""`workplatform up`: what it refuses before anything starts."""

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import requests

from tests.processes import gone
from tests.running import Up, running_up, start_up
from tests.waiting import eventually
from workplatform import embedded
from workplatform.address import local_url
from workplatform.errors import AlreadyRunningError
from workplatform.launch import check_port
from workplatform.settings import Settings

ROOT = Path(__file__).parent.parent


def test_a_port_in_use_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "workplatform", "up"],
            cwd=tmp_path,
            env={**os.environ, "PORT": str(port), "DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert f"Error: port {port} on 127.0.0.1 is in use by pid {os.getpid()} (" in ended.stderr
    assert not (tmp_path / "data" / "valkey").exists()
    assert list((tmp_path / "data" / "run").iterdir()) == []


def test_a_port_that_becomes_free_in_time_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Settings(port=other.getsockname()[1])
        with pytest.raises(AlreadyRunningError):
            check_port(settings, patience=timedelta(milliseconds=100))
    check_port(settings)


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:4002"), ("0.0.0.0", "http://127.0.0.1:4002"), ("::", "http://[::1]:4002")],  # noqa: S104
)
def test_the_url_that_is_told_can_be_opened_on_this_machine(host: str, url: str) -> None:
    assert local_url(Settings(bind_host=host)) == url


def test_the_whole_platform_starts_works_and_leaves_nothing(tmp_path: Path) -> None:
    with running_up(tmp_path, JOB_PACKAGES="tests.nap_jobs") as up:
        assert up.run("submit", "nap", "--watch").returncode == 0
        assert psutil.Process(up.process.pid).num_threads() == 1  # or forking again would be unsafe
        everyone = up.everyone()
    assert up.process.returncode == 0, up.text
    eventually(lambda: gone(everyone))
    assert not list((tmp_path / "data" / "run").glob("*.sock"))
    assert not list((tmp_path / "data" / "run").glob("*.lock"))
    for role in ("server", "api", "nap", "scheduler", "up"):
        assert f"\n{role:<10} | " in up.text


def test_a_running_job_goes_back_to_its_queue_and_a_new_platform_ends_it(tmp_path: Path) -> None:
    with running_up(tmp_path, JOB_PACKAGES="tests.nap_jobs", SHUTDOWN_GRACE="0.2") as up:
        job_id = up.run("submit", "nap", "seconds=3").stdout.strip()
        eventually(lambda: job_of(up, job_id)["status"] == "running")
    with running_up(tmp_path, JOB_PACKAGES="tests.nap_jobs") as up:
        eventually(lambda: job_of(up, job_id)["status"] == "completed")
        assert job_of(up, job_id)["retries"] == 0


def test_after_kill_9_of_the_supervisor_everything_ends_and_a_new_platform_starts(tmp_path: Path) -> None:
    up = start_up(tmp_path, JOB_PACKAGES="tests.nap_jobs", SHUTDOWN_GRACE="1")
    eventually(up.is_ready, within_s=60)
    job_id = up.run("submit", "nap", "seconds=0").stdout.strip()
    eventually(lambda: job_of(up, job_id)["status"] == "completed")
    everyone = up.everyone()
    up.process.kill()
    up.process.wait()
    with running_up(tmp_path, JOB_PACKAGES="tests.nap_jobs", PORT=up.environ["PORT"]) as second:
        assert job_of(second, job_id)["status"] == "completed"
        eventually(lambda: gone(everyone))


def test_kill_9_amid_a_job_does_not_cost_the_next_platform_its_lock_and_socket(tmp_path: Path) -> None:
    first = start_up(tmp_path, JOB_PACKAGES="tests.nap_jobs", SHUTDOWN_GRACE="1")
    eventually(first.is_ready, within_s=60)
    job_id = first.run("submit", "nap", "seconds=100").stdout.strip()
    eventually(lambda: job_of(first, job_id)["status"] == "running")
    everyone = first.everyone()
    first.process.kill()
    with running_up(tmp_path, JOB_PACKAGES="tests.nap_jobs", SHUTDOWN_GRACE="1") as second:
        first.process.wait()
        eventually(lambda: gone(everyone))
        assert {path.name for path in (tmp_path / "data" / "run").glob("*.*")} >= {"up.lock", "valkey.sock"}
        third = start_up(tmp_path, JOB_PACKAGES="tests.nap_jobs")
        assert third.process.wait(60) == 1
        assert f"is in use by another platform (process {second.process.pid})" in third.text
        assert second.run("jobs").returncode == 0
    assert second.process.returncode == 0, second.text


@pytest.mark.parametrize(
    ("name", "value"),
    [("DATA_DIR", "/dev/null"), ("BIND_HOST", "no.such.invalid"), ("BIND_HOST", "192.0.2.1"), ("BIND_HOST", "a..b")],
)
def test_a_place_that_cannot_be_used_is_one_sentence(tmp_path: Path, name: str, value: str) -> None:
    up = start_up(tmp_path, API_KEY="k", **{name: value})
    assert up.process.wait(60) == 1
    (line,) = up.text.splitlines()
    assert line.startswith("Error: ") and f"{name}={value}" in line


def test_a_concurrency_of_no_queue_ends_the_start(tmp_path: Path) -> None:
    up = start_up(tmp_path, JOB_PACKAGES="tests.nap_jobs", CONCURRENCY_NAPS="2")
    assert up.process.wait(60) == 1
    assert "Error: CONCURRENCY_NAPS: no job type uses such a queue; there are CONCURRENCY_NAP\n" in up.text
    assert list((tmp_path / "data" / "run").iterdir()) == []


def test_without_redis_it_waits_and_says_for_whom(tmp_path: Path) -> None:
    up = start_up(tmp_path, QUEUE_TYPE="redis", REDIS_URL="redis://:secret@127.0.0.1:1/0")
    eventually(lambda: "waiting_for_redis" in up.text)
    up.process.terminate()
    assert up.process.wait(60) == 0
    assert "redis://127.0.0.1:1/0" in up.text
    assert "secret" not in up.text


def test_with_a_redis_of_its_own_no_server_is_started(tmp_path: Path) -> None:
    with embedded.running(Settings(data_dir=tmp_path / "elsewhere")) as url:
        with running_up(tmp_path / "here", QUEUE_TYPE="redis", REDIS_URL=url, JOB_PACKAGES="tests.nap_jobs") as up:
            assert up.run("submit", "nap", "--watch").returncode == 0
        assert up.process.returncode == 0, up.text
        assert "server " not in up.text
        assert not (tmp_path / "here" / "data" / "valkey").exists()


def test_data_that_the_server_refuses_end_the_start_with_its_words(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "valkey" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    up = start_up(tmp_path)
    assert up.process.wait(60) == 1
    assert "Error: the embedded server does not start" in up.text
    assert "Invalid AOF manifest file format" in up.text
    assert list((tmp_path / "data" / "run").glob("*.*")) == []


def job_of(up: Up, job_id: str) -> dict[str, object]:
    """Return a job as the API tells it."""
    job: dict[str, object] = requests.get(f"{up.url}/api/jobs/{job_id}", timeout=5).json()
    return job
