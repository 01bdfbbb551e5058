"""The command line against a running platform."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.running import Up, running_up
from tests.waiting import eventually

KEY = "a-key-for-tests"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One platform for all tests here."""
    with running_up(
        tmp_path_factory.mktemp("up"), JOB_PACKAGES="tests.nap_jobs,workers.http", API_KEY=KEY, SHUTDOWN_GRACE="0.5"
    ) as running:
        yield running


def submitted(up: Up, *fields: str) -> str:
    """Submit a nap and return its id."""
    ended = up.run("submit", "nap", *fields)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def status(up: Up, job_id: str) -> str:
    """Return a job's status."""
    page = json.loads(up.run("jobs", "--json", "--limit", "100").stdout)
    return str(next(job["status"] for job in page["jobs"] if job["jobId"] == job_id))


def test_submit_prints_the_id_alone(up: Up) -> None:
    assert re.fullmatch(r"job_[0-9A-Za-z]{26}", submitted(up))


def test_a_watched_job_prints_its_result_alone_and_its_progress_to_stderr(up: Up) -> None:
    ended = up.run("submit", "nap", "seconds=1.5", "--watch")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {"success": True, "slept": 1.5}
    assert "sleeping" in ended.stderr
    assert "100 % completed" in ended.stderr


def test_a_failed_job_is_exit_code_1_and_a_sentence(up: Up) -> None:
    ended = up.run("submit", "nap", "fails=true", "--watch")
    assert ended.returncode == 1
    assert "failed: the bed is broken" in ended.stderr
    assert ended.stdout == ""


def test_a_cancelled_job_is_exit_code_9_for_who_watches_it(up: Up) -> None:
    job_id = submitted(up, "seconds=60")
    watching = watch(up, job_id)
    assert watching.stderr is not None
    assert job_id in watching.stderr.readline()
    assert up.run("cancel", job_id).returncode == 0
    watching.communicate(timeout=30)
    assert watching.returncode == 9


def test_ctrl_c_detaches_and_the_job_runs_on(up: Up) -> None:
    job_id = submitted(up, "seconds=60")
    watching = watch(up, job_id)
    assert watching.stderr is not None
    watching.stderr.readline()
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert f"Detached; it runs on. `workplatform watch {job_id}` looks again" in said
    assert status(up, job_id) == "running"
    up.run("cancel", job_id)


def watch(up: Up, job_id: str) -> subprocess.Popen[str]:
    """Watch a job in the background."""
    return subprocess.Popen(
        [sys.executable, "-m", "workplatform", "watch", job_id],
        cwd=up.folder,
        env=up.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_several_jobs_are_watched_together_and_the_worst_ending_counts(up: Up) -> None:
    ids = [submitted(up, "seconds=0.2"), submitted(up, "fails=true")]
    ended = up.run("watch", *ids)
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["slept"] == 0.2


def test_the_log_of_a_job_is_followed_to_its_end(up: Up) -> None:
    job_id = submitted(up, "seconds=1")
    followed = up.run("logs", "-f", job_id)
    assert "lying down" in followed.stdout
    assert "getting up" in followed.stdout
    assert up.run("logs", job_id).stdout == followed.stdout


def test_a_failed_job_is_queued_again_by_retry(up: Up) -> None:
    job_id = submitted(up, "fails=true")
    assert up.run("watch", job_id).returncode == 1
    assert up.run("retry", job_id).returncode == 0
    assert up.run("watch", job_id).returncode == 1


def test_errors_that_are_alike_are_listed_and_retried_by_their_fingerprint(up: Up) -> None:
    job_id = submitted(up, "fails=true", "seconds=0.01")
    up.run("watch", job_id)
    [row] = up.run("errors", "--type", "nap", "--limit", "1").stdout.splitlines()
    count, failed, _, job_type, code, fingerprint, message = row.split("\t")
    assert (int(count) >= int(failed) >= 1, job_type, bool(code), bool(message)) == (True, "nap", True, True)

    for words in (["retry", "--dry-run"], ["jobs", "--since", "2020-01-01T00:00:00Z"]):
        told = up.run(*words, "--fingerprint", fingerprint)
        assert job_id in [line.split("\t")[0] for line in told.stdout.splitlines()]
    ended = up.run("retry", "--fingerprint", fingerprint, "--canary", "1")
    assert ended.returncode == 1
    assert "stopped after 1 jobs" in ended.stderr
    ended = up.run("retry", "--fingerprint", fingerprint)
    assert (ended.returncode, "queued again, 0 skipped" in ended.stderr) == (0, True)
    assert up.run("retry").returncode == up.run("retry", job_id, "--type", "nap").returncode == 2


def test_jobs_are_listed_by_status_and_type_in_tabs(up: Up) -> None:
    job_id = submitted(up, "fails=true")
    up.run("watch", job_id)
    rows = up.run("jobs", "--status", "failed", "--type", "nap").stdout.splitlines()
    assert [job_id, "nap", "failed"] == rows[0].split("\t")[:3]
    assert all(row.split("\t")[2] == "failed" for row in rows)
    assert up.run("jobs", "--limit", "1").stdout.count("\n") == 1


def test_the_figures_are_told(up: Up) -> None:
    assert json.loads(up.run("stats", "--json").stdout)
    assert up.run("stats").stdout.strip()


def test_the_workers_are_listed_with_their_jobs(up: Up) -> None:
    job_id = submitted(up, "seconds=60")
    eventually(lambda: job_id in up.run("workers").stdout)
    (row,) = (line.split("\t") for line in up.run("workers", "--queue", "nap").stdout.splitlines())
    assert (row[0].partition("@")[0], row[2], row[3]) == ("nap", "ready", "1/2")
    assert row[-1].startswith(f"{job_id} nap ")
    up.run("cancel", job_id)
    answer = json.loads(up.run("workers", "--json").stdout)
    assert (answer["unserved"], answer["queues"]["nap"]["workers"]) == ([], 1)
    assert up.run("workers", "--queue", "naps").returncode == 1


def test_the_schedules_are_listed_and_their_jobs_run(up: Up) -> None:
    address, key = f"{up.url}/api/schedules", {"X-API-Key": KEY}
    job = {"type": "nap", "payload": {}}
    for fields in ({"name": "often", "every": "1s"}, {"name": "rare", "cron": "@yearly", "paused": True}):
        requests.post(address, json={"job": job, **fields}, headers=key, timeout=10).raise_for_status()
    last = eventually(lambda: requests.get(f"{address}/often", headers=key, timeout=10).json()["lastFire"])
    assert up.run("watch", last["jobId"]).returncode == 0
    up.run("schedules", "pause", "often")
    often, rare = (line.split("\t") for line in up.run("schedules").stdout.splitlines())
    assert often[:5] == ["often", "every 1 s", "UTC", "nap", "paused"]
    assert often[5].startswith("job_")
    assert rare == ["rare", "@yearly", "UTC", "nap", "paused", ""]
    job_id = up.run("schedules", "run", "rare").stdout.strip()
    up.run("schedules", "resume", "rare")
    fires = [line.split("\t") for line in up.run("schedules", "show", "rare").stdout.splitlines()]
    assert [fire[1:3] for fire in fires] == [["created", job_id], *[["next", ""]] * 5]


def test_flows_and_batches_are_shown_cancelled_and_retried(up: Up) -> None:
    key = {"X-API-Key": KEY}
    first = {"type": "nap", "payload": {"seconds": 60}}
    steps = {"first": first, "second": {"type": "nap", "payload": {}, "dependsOn": ["first"]}}
    flow = requests.post(f"{up.url}/api/flows", json={"steps": steps, "name": "f"}, headers=key, timeout=10).json()
    flow_id = flow["flowId"]
    rows = [row.split("\t") for row in up.run("flows").stdout.splitlines()]
    assert [row[3:] for row in rows if row[:2] == [flow_id, "running"]] == [["2", "f"]]
    shown = [row.split("\t") for row in up.run("flows", "show", flow_id).stdout.splitlines()]
    assert [(row[0], row[4]) for row in shown] == [("first", ""), ("second", "first")]
    assert up.run("flows", "cancel", flow_id).stderr == f"{flow_id} is cancelled\n"
    assert up.run("flows", "cancel", flow_id).returncode == 6
    assert up.run("flows", "retry", flow_id).stderr == f"{flow_id} is running\n"
    up.run("flows", "cancel", flow_id)
    assert up.run("flows", "show", "flow_x").returncode == 5

    requests.post(f"{up.url}/api/jobs", json={"jobs": [first] * 3, "batchId": "b"}, headers=key, timeout=10)
    up.run("batches", "cancel", "b")
    assert "cancelled\t3" in up.run("batches", "show", "b").stdout.splitlines()
    assert up.run("batches", "--limit", "1").stdout == "b\tcancelled\t100 %\t3\n"
    assert up.run("batches", "retry", "b").stderr == "b is running\n"
    up.run("batches", "cancel", "b")


def test_a_wrong_payload_is_refused_with_the_field(up: Up) -> None:
    ended = up.run("submit", "nap", "seconds=-1", "colour=red")
    assert ended.returncode == 1
    assert "seconds" in ended.stderr
    assert "colour" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_payload_comes_from_a_file_and_a_field_replaces_it(up: Up) -> None:
    (up.folder / "nap.json").write_text('{"seconds": 60}')
    ended = up.run("submit", "nap", "--json", "nap.json", "seconds=0", "--priority", "0", "--watch")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["slept"] == 0


@pytest.mark.parametrize("command", ["watch", "logs", "cancel", "retry"])
def test_an_unknown_job_is_exit_code_5(up: Up, command: str) -> None:
    ended = up.run(command, "job_00000000000000000000000000")
    assert ended.returncode == 5
    assert ended.stderr.startswith("Error: ")
    assert ended.stderr.count("\n") == 1


def test_cancelling_a_job_that_has_ended_is_exit_code_6(up: Up) -> None:
    job_id = submitted(up)
    up.run("watch", job_id)
    assert up.run("cancel", job_id).returncode == 6


def test_a_wrong_key_is_exit_code_4(up: Up) -> None:
    assert up.run("jobs", API_KEY="another").returncode == 4


def test_the_doctor_knows_the_port_as_the_platforms_own(up: Up) -> None:
    ended = up.run("doctor")
    assert ended.returncode == 0, ended.stdout
    assert f"port {up.environ['PORT']}: the platform answers" in ended.stdout
    assert "noeviction" in ended.stdout


def test_watching_survives_the_death_of_the_api(up: Up) -> None:
    job_id = submitted(up, "seconds=4")
    watching = watch(up, job_id)
    assert watching.stderr is not None
    watching.stderr.readline()
    api = next(process for process in up.everyone() if process.cmdline()[1:] == ["-m", "api"])
    api.kill()
    _, said = watching.communicate(timeout=60)
    assert watching.returncode == 0, said
    eventually(up.is_ready)


def test_the_demo_makes_real_results_and_stops(tmp_path: Path, up: Up) -> None:
    """It runs beside another platform: on a port of its own, since that one's is in use."""
    environ = {**up.environ, "DATA_DIR": str(tmp_path), "JOB_PACKAGES": "workers"}
    ended = subprocess.run(
        [sys.executable, "-m", "workplatform", "demo"],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    out = tmp_path / "demo" / "out"
    assert (out / "hls" / "master.m3u8").is_file()
    assert (out / "thumbnail.webp").read_bytes()[8:12] == b"WEBP"
    assert (out / "photo.webp").read_bytes()[8:12] == b"WEBP"
    assert str(out) in ended.stdout
    assert "Dashboard  http://127.0.0.1:" in ended.stdout


def test_callbacks_are_listed_and_sent_again(up: Up) -> None:
    with requests.Session() as session:
        session.headers["X-API-Key"] = KEY
        job = {"type": "nap", "payload": {}, "callback": "http://127.0.0.1:9/hook?token=t0ken"}
        job_id = session.post(f"{up.url}/api/jobs", json=job, timeout=10).json()["jobId"]

    def listed() -> list[str]:
        ended = up.run("deliveries", job_id)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip().split("\t")

    eventually(lambda: listed()[2:3] == ["failed"])
    delivery, event, _, url, attempts, outcome = listed()
    assert (event, url, attempts) == ("completed", "http://127.0.0.1:9/hook", "1")
    assert "127.0.0.1" in outcome
    ended = up.run("resend", job_id, delivery)
    assert (ended.returncode, ended.stderr.strip()) == (0, f"Queued {delivery} again")
    eventually(lambda: listed()[2:5:2] == ["failed", "2"])
    [shown] = json.loads(up.run("deliveries", job_id, "--json").stdout)["deliveries"]
    assert shown["attempts"][0]["error"] == shown["attempts"][1]["error"]
    assert up.run("resend", job_id, "job_x").returncode == 5
