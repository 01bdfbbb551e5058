"""The whole platform from outside: `up` in a subprocess, HTTP, real files, and kill -9 of whatever there is."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import psutil
import pytest
import requests
from PIL import Image

from tests.processes import gone
from tests.running import Up, running_up
from tests.waiting import eventually

FINAL = ("completed", "failed", "cancelled")
QUICK_LEASE = {"LEASE": "2", "HEARTBEAT": "0.5", "SHUTDOWN_GRACE": "3", "JOB_PACKAGES": "workers,tests.jobs"}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform for the tests that leave it as it was."""
    with running_up(tmp_path_factory.mktemp("up"), **QUICK_LEASE) as up:
        make_video(up.folder / "film.mp4", seconds=3)
        yield up


def make_video(path: Path, *, seconds: int) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    command += ["-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=30:duration={seconds}"]
    command += ["-f", "lavfi", "-i", f"sine=duration={seconds}"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", str(path)]
    subprocess.run(command, check=True)


def submit(up: Up, job_type: str, payload: dict[str, Any], **more: Any) -> str:
    document = {"type": job_type, "payload": payload, **more}
    answer = requests.post(f"{up.url}/api/jobs", json=document, timeout=10)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def job_of(up: Up, job_id: str) -> dict[str, Any]:
    document: dict[str, Any] = requests.get(f"{up.url}/api/jobs/{job_id}", timeout=10).json()
    return document


def wait(up: Up, job_id: str, *statuses: str, within_s: float = 60) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        try:
            job = job_of(up, job_id)
        except requests.RequestException:
            return None
        return job if job.get("status") in (statuses or FINAL) else None

    return eventually(reached, within_s=within_s) or {}


def role(up: Up, *words: str) -> psutil.Process:
    """The process of a role: the supervisor's child whose command line or title has all the words."""
    for child in psutil.Process(up.process.pid).children():
        if all(word in " ".join(child.cmdline()) for word in words):
            return child
    raise AssertionError(f"no process with {words}: {[c.cmdline() for c in up.everyone()]}")


def leftovers(folder: Path) -> list[str]:
    found = [*folder.rglob(".job_*.part"), *folder.glob("data/run/attempts/*"), *folder.glob("data/work/*")]
    return [str(path) for path in found]


def test_the_specifications_examples_make_real_files(up: Up) -> None:
    thumbnail = submit(up, "thumbnail", {"videoPath": "film.mp4", "outputPath": "t.webp", "timestamp": "00:00:01"})
    hls = submit(up, "hls", {"inputPath": "film.mp4", "outputDir": "hls", "qualities": ["720p", "360p"]})
    job = wait(up, thumbnail)
    assert job["result"]["success"] is True, job
    with Image.open(up.folder / "t.webp") as picture:
        assert picture.format == "WEBP"
    webp = wait(up, submit(up, "webp", {"inputPath": "t.webp", "outputPath": "small.webp", "width": 100}))
    assert webp["result"]["success"] is True, webp
    job = wait(up, hls)
    assert job["result"]["success"] is True, job
    with av.open(str(up.folder / "hls" / "master.m3u8")) as played:
        assert played.streams.video
    listing = requests.get(f"{up.url}/api/jobs", params={"status": "completed"}, timeout=10).json()
    assert listing["total"] >= 3


def test_an_event_stream_shows_a_job_from_start_to_end(up: Up) -> None:
    with requests.get(f"{up.url}/api/events", stream=True, timeout=30) as stream:
        job_id = submit(up, "nap", {"path": "napped.txt", "seconds": 1.5})
        seen: list[dict[str, Any]] = []
        for line in stream.iter_lines():
            if line.startswith(b"data:"):
                event = json.loads(line[5:])
                if event["jobId"] == job_id:
                    seen.append(event)
                    if event["event"] == "job:completed":
                        break
    names = [event["event"] for event in seen]
    assert names[0] == "job:queued" and names[1] == "job:started"
    progress = [event["progress"] for event in seen if event["event"] == "job:progress"]
    assert len(progress) >= 2 and progress == sorted(progress)


def test_bad_input_fails_at_once_with_a_sentence(up: Up) -> None:
    (up.folder / "x.txt").write_text("not a film")
    for payload in ({"videoPath": "x.txt"}, {"videoPath": "missing.mp4"}, {"videoPath": "/etc/passwd"}):
        job = wait(up, submit(up, "thumbnail", {**payload, "outputPath": "never/there.webp"}))
        assert (job["status"], job["attempts"]) == ("failed", 1), job
        assert job["error"] and "Traceback" not in job["error"]
    assert not (up.folder / "never").exists()
    assert leftovers(up.folder) == []


def test_a_callback_tells_the_ending_and_a_dead_receiver_delays_nothing(up: Up) -> None:
    dead = submit(up, "noop", {}, callback="http://127.0.0.1:9/hook")
    assert wait(up, dead)["status"] == "completed"
    deliveries = requests.get(f"{up.url}/api/jobs", params={"type": "http"}, timeout=10).json()["jobs"]
    assert [job["payload"]["body"]["jobId"] for job in deliveries] == [dead]
    assert wait(up, submit(up, "noop", {}))["status"] == "completed"
    requests.delete(f"{up.url}/api/jobs/{deliveries[0]['jobId']}", timeout=10)


def test_a_job_that_kills_its_worker_is_failed_and_not_looped(up: Up) -> None:
    job = wait(up, submit(up, "broken", {"path": "", "text": "kill worker"}, maxRetries=1), within_s=90)
    assert (job["status"], job["attempts"], job["errorCode"]) == ("failed", 2, "worker_lost")
    assert wait(up, submit(up, "flaky", {"path": "", "text": "1"}))["status"] == "completed"


def encoder_of(up: Up) -> psutil.Process | None:
    for process in up.everyone():
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            if "ffmpeg" in process.name():
                return process
    return None


def test_a_worker_killed_in_the_middle_of_a_ladder_costs_an_attempt_and_no_orphan(up: Up) -> None:
    make_video(up.folder / "long.mp4", seconds=15)
    job_id = submit(up, "hls", {"inputPath": "long.mp4", "outputDir": "long", "qualities": ["360p", "240p", "144p"]})
    encoder = eventually(lambda: encoder_of(up))
    assert encoder is not None
    parents = {parent.pid for parent in encoder.parents()}
    worker = next(child for child in psutil.Process(up.process.pid).children() if child.pid in parents)
    worker.send_signal(signal.SIGKILL)
    eventually(lambda: gone([encoder]))
    assert not (up.folder / "long").exists()
    job = wait(up, job_id, within_s=120)
    assert (job["status"], job["attempts"]) == ("completed", 2)
    assert (up.folder / "long" / "master.m3u8").exists()
    eventually(lambda: leftovers(up.folder) == [], within_s=60)


def test_the_api_and_the_server_come_back_after_kill_9_with_nothing_lost(tmp_path: Path) -> None:
    with running_up(tmp_path / "up", **QUICK_LEASE) as up:
        before = [submit(up, "nap", {"path": f"{number}.txt", "text": "x", "seconds": 0.5}) for number in range(6)]
        role(up, "api").send_signal(signal.SIGKILL)
        eventually(up.is_ready, within_s=60)
        role(up, "valkey-server").send_signal(signal.SIGKILL)
        eventually(up.is_ready, within_s=60)
        for job_id in before:
            assert wait(up, job_id)["status"] == "completed"
        up.process.send_signal(signal.SIGINT)
        everyone = up.everyone()
        assert up.process.wait(30) == 0
        eventually(lambda: gone(everyone))
        assert not list((tmp_path / "up").rglob("*.sock"))
