"""Outputs of jobs whose workers are killed, frozen, stopped and cancelled: resumed, published, and never mixed up."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.integration.fleet import Fleet, log_events, running_fleet
from tests.jobs import LINE
from tests.waiting import eventually


def whole(lines: int) -> bytes:
    return b"".join(b"%07d\n" % number for number in range(lines))


def beginnings(fleet: Fleet) -> list[Path]:
    return sorted(path for path in fleet.folder.glob(".job_*.part") if ".note." not in path.name)


def grown(fleet: Fleet, lines: int) -> int:
    """The length of the beginning, once it has some lines."""
    return eventually(lambda: max((path.stat().st_size for path in beginnings(fleet)), default=0) // LINE >= lines)


def test_a_job_goes_on_where_its_killed_worker_stopped(fleet: Fleet) -> None:
    fleet.start("scheduler")
    doomed = fleet.worker("grow")
    job_id = fleet.submit("grow", {"path": "out.txt", "lines": 300, "pause": 0.01})
    grown(fleet, 100)
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.wait()
    [left] = beginnings(fleet)
    assert whole(300).startswith(left.read_bytes())
    have = left.stat().st_size // LINE
    fleet.worker("grow")
    job = fleet.wait(job_id)
    assert (job["status"], job["attempts"]) == ("completed", 2)
    assert 0 < job["result"]["written"] <= 300 - have
    assert (fleet.folder / "out.txt").read_bytes() == whole(300)
    eventually(lambda: fleet.leftovers() == [])
    assert fleet.platform.store.get(job_id).outputs == [{"uri": "out.txt", "directory": False}]


def test_a_frozen_worker_cannot_spoil_what_its_successor_goes_on_with(fleet: Fleet) -> None:
    fleet.start("scheduler")
    frozen = fleet.worker("grow", NODE_NAME="frozen")
    job_id = fleet.submit("grow", {"path": "out.txt", "lines": 300, "pause": 0.01})
    grown(fleet, 100)
    os.kill(frozen.pid, signal.SIGSTOP)
    [theirs] = beginnings(fleet)
    fleet.worker("grow", NODE_NAME="fresh")
    eventually(lambda: len(beginnings(fleet)) == 2)
    os.kill(frozen.pid, signal.SIGCONT)
    job = fleet.wait(job_id)
    assert (job["status"], job["attempts"]) == ("completed", 2)
    assert 0 < job["result"]["written"] <= 200
    eventually(lambda: [line for line in log_events(fleet) if line["event"] == "job_taken_away"])
    assert (fleet.folder / "out.txt").read_bytes() == whole(300)
    eventually(lambda: not theirs.exists(), within_s=40)


def test_a_stopped_worker_hands_its_beginning_on(fleet: Fleet) -> None:
    stopping = fleet.worker("grow")
    job_id = fleet.submit("grow", {"path": "out.txt", "lines": 300, "pause": 0.01})
    grown(fleet, 50)
    stopping.terminate()
    assert stopping.wait(20) == 0
    assert fleet.job(job_id)["status"] == "queued"
    [left] = beginnings(fleet)
    have = left.stat().st_size // LINE
    fleet.worker("grow")
    job = fleet.wait(job_id)
    assert (job["status"], job["attempts"], job["result"]["written"]) == ("completed", 1, 300 - have)
    assert (fleet.folder / "out.txt").read_bytes() == whole(300)
    eventually(lambda: fleet.leftovers() == [])


@pytest.mark.parametrize("how", ["running", "queued"])
def test_a_cancelled_job_leaves_no_beginning(fleet: Fleet, how: str) -> None:
    worker = fleet.worker("grow")
    job_id = fleet.submit("grow", {"path": "out.txt", "lines": 9999, "pause": 0.01})
    grown(fleet, 10)
    if how == "queued":
        worker.terminate()
        worker.wait(20)
        assert beginnings(fleet)
    assert fleet.platform.service.cancel(job_id) == "cancelled"
    if how == "queued":
        fleet.worker("grow")  # it sweeps when it starts
    eventually(lambda: fleet.leftovers() == [])
    assert not (fleet.folder / "out.txt").exists()


def test_what_was_published_stays_when_the_job_fails(fleet: Fleet) -> None:
    fleet.worker("batch")
    job = fleet.wait(fleet.submit("batch", {"path": "out", "text": "fail"}))
    assert (job["status"], job["errorCode"]) == ("failed", "bad_input")
    eventually(lambda: [path.name for path in (fleet.folder / "out").iterdir()] == ["kept.txt"])
    assert fleet.platform.store.get(job["jobId"]).outputs == [{"uri": "out/kept.txt", "directory": False}]
    eventually(lambda: fleet.leftovers() == [])


def test_published_and_committed_outputs_are_listed_together(fleet: Fleet) -> None:
    fleet.worker("batch")
    job = fleet.wait(fleet.submit("batch", {"path": "out"}))
    assert job["status"] == "completed"
    listed = [output["uri"] for output in fleet.platform.store.get(job["jobId"]).outputs]
    assert listed == ["out/kept.txt", "out/last.txt"]
    assert sorted(path.name for path in (fleet.folder / "out").iterdir()) == ["kept.txt", "last.txt"]


def test_nothing_is_published_of_a_job_that_was_cancelled_a_moment_ago(tmp_path: Path) -> None:
    with running_fleet(tmp_path, LEASE="60", HEARTBEAT="20") as fleet:
        fleet.worker("late")
        job_id = fleet.submit("late", {"path": "out.txt", "text": str(tmp_path / "go")})
        eventually(lambda: beginnings(fleet))
        assert fleet.platform.service.cancel(job_id) == "cancelled"
        (tmp_path / "go").touch()
        eventually(lambda: fleet.leftovers() == [])
        assert not (tmp_path / "out.txt").exists()
        assert fleet.platform.store.get(job_id).outputs == ()


def test_nothing_is_published_by_an_attempt_that_lost_its_job(fleet: Fleet) -> None:
    fleet.start("scheduler")
    frozen = fleet.worker("late", NODE_NAME="frozen")
    job_id = fleet.submit("late", {"path": "out.txt"})
    eventually(lambda: psutil.Process(frozen.pid).status() == psutil.STATUS_STOPPED)
    fleet.worker("late", NODE_NAME="fresh")
    assert fleet.wait(job_id)["attempts"] == 2
    os.kill(frozen.pid, signal.SIGCONT)
    eventually(lambda: [line for line in log_events(fleet) if line["event"] == "job_taken_away"])
    assert (fleet.folder / "out.txt").read_text() == "attempt 2"
