"""Attempts end to end: real Celery workers in their own processes, killed, frozen, drained and cancelled."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.integration.fleet import Fleet, Process, log_events, running_fleet
from tests.processes import below, gone
from tests.waiting import eventually


def end(process: Process) -> int:
    process.terminate()
    return process.wait(20)


def sleepers(worker: Process) -> list[psutil.Process]:
    return below(worker.pid, name="sleep")


def test_a_job_runs_and_its_record_tells_how(fleet: Fleet) -> None:
    fleet.worker("nap")
    job_id = fleet.submit("nap", {"path": "out/note.txt", "text": "hello", "seconds": 0.8}, tags=["a"])
    job = fleet.wait(job_id)
    assert (job["status"], job["progress"], job["stage"]) == ("completed", 100, "napping")
    assert (job["attempts"], job["retries"], job["maxRetries"], job["priority"]) == (1, 0, 3, 2)
    assert job["result"] == {"success": True, "attempt": 1}
    assert job["duration"] >= 800
    assert (job["error"], job["errorCode"], job["tags"]) == (None, None, ["a"])
    assert (fleet.folder / "out" / "note.txt").read_text() == "hello"
    assert [line.text for line in fleet.platform.service.logs(job_id)] == ["attempt 1 begins"]
    assert fleet.events(job_id) == ["job:queued", "job:started", "job:completed"]
    assert fleet.leftovers() == []


def test_progress_is_seen_while_the_job_runs(fleet: Fleet) -> None:
    fleet.worker("nap")
    job_id = fleet.submit("nap", {"path": "a", "seconds": 60})
    seen = eventually(lambda: fleet.job(job_id)["progress"])
    eventually(lambda: fleet.job(job_id)["progress"] > seen)
    assert fleet.platform.service.cancel(job_id) == "cancelled"


def test_a_failed_attempt_is_tried_again_after_its_backoff(fleet: Fleet) -> None:
    fleet.worker("flaky")
    fleet.start("scheduler")
    job = fleet.wait(fleet.submit("flaky", {"path": "", "text": "3"}))
    assert (job["status"], job["attempts"], job["retries"]) == ("completed", 3, 2)
    assert fleet.events(job["jobId"]).count("job:retrying") == 2


@pytest.mark.parametrize(
    ("how", "attempts", "code"),
    [("bad input", 1, "bad_input"), ("later", 4, "retry_later"), ("crash child", 4, "crashed"), ("", 4, "internal")],
)
def test_a_job_that_cannot_work_fails_after_the_attempts_it_is_worth(
    fleet: Fleet, how: str, attempts: int, code: str
) -> None:
    worker = fleet.worker("flaky")
    fleet.start("scheduler")
    job = fleet.wait(fleet.submit("broken", {"path": "", "text": how}))
    assert (job["status"], job["attempts"], job["errorCode"]) == ("failed", attempts, code)
    assert job["error"]
    assert worker.poll() is None, "the worker outlives what its jobs do"


def test_a_submission_chooses_its_own_retries(fleet: Fleet) -> None:
    fleet.worker("flaky")
    fleet.start("scheduler")
    none = fleet.submit("flaky", {"path": "", "text": "9"}, maxRetries=0)
    policy = {"maxRetries": 1, "backoff": "fixed", "initialDelay": 10}
    one = fleet.submit("flaky", {"path": "", "text": "9"}, retryPolicy=policy)
    assert (fleet.wait(none)["attempts"], fleet.wait(one)["attempts"]) == (1, 2)


def test_a_time_limit_ends_the_program(fleet: Fleet) -> None:
    worker = fleet.worker("slow")
    job = fleet.wait(fleet.submit("slow", {"path": "", "seconds": 60}))
    assert (job["status"], job["errorCode"]) == ("failed", "timeout")
    eventually(lambda: not sleepers(worker))


def test_cancelling_ends_the_process_group_and_leaves_nothing(fleet: Fleet) -> None:
    worker = fleet.worker("program")
    job_id = fleet.submit("program", {"path": "half.txt", "seconds": 600})
    eventually(lambda: len(sleepers(worker)) == 2)
    assert fleet.platform.service.cancel(job_id) == "cancelled"
    eventually(lambda: not sleepers(worker))
    eventually(lambda: fleet.leftovers() == [])
    assert fleet.job(job_id)["status"] == "cancelled"
    assert not (fleet.folder / "half.txt").exists()


def test_a_killed_worker_costs_its_job_an_attempt_and_nothing_else(fleet: Fleet) -> None:
    fleet.start("scheduler")
    doomed = fleet.worker("program")
    job_id = fleet.submit("program", {"path": "result.txt", "seconds": 600, "again": 0})
    eventually(lambda: len(sleepers(doomed)) == 2)
    everyone = below(doomed.pid)
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.wait()
    eventually(lambda: gone(everyone))
    fleet.worker("program")
    job = fleet.wait(job_id)
    assert (job["status"], job["attempts"], job["retries"]) == ("completed", 2, 1)
    assert (fleet.folder / "result.txt").read_text() == "whole"
    eventually(lambda: fleet.leftovers() == [], within_s=40)


def test_a_frozen_worker_cannot_finish_what_another_has_taken_over(fleet: Fleet) -> None:
    fleet.start("scheduler")
    frozen = fleet.worker("nap", NODE_NAME="frozen")
    job_id = fleet.submit("nap", {"path": "note.txt", "text": "whole", "seconds": 600, "again": 0.1})
    fleet.wait(job_id, "running")
    os.kill(frozen.pid, signal.SIGSTOP)
    fleet.worker("nap", NODE_NAME="fresh")
    job = fleet.wait(job_id)
    assert (job["status"], job["attempts"]) == ("completed", 2)
    os.kill(frozen.pid, signal.SIGCONT)
    eventually(lambda: [line for line in log_events(fleet) if line["event"] == "job_taken_away"])
    assert fleet.job(job_id) == job
    assert fleet.events(job_id).count("job:completed") == 1


def test_stopping_gives_a_running_job_back_without_losing_an_attempt(fleet: Fleet) -> None:
    stopping = fleet.worker("nap")
    job_id = fleet.submit("nap", {"path": "note.txt", "seconds": 600})
    fleet.wait(job_id, "running")
    assert end(stopping) == 0
    job = fleet.job(job_id)
    assert (job["status"], job["attempts"], job["retries"]) == ("queued", 0, 0)
    assert job["waitingReason"] == "no_worker"
    assert fleet.leftovers() == []
    fleet.worker("nap")
    assert fleet.wait(job_id, "running")["attempts"] == 1


def test_stopping_lets_a_job_end_that_needs_less_than_the_grace(tmp_path: Path) -> None:
    with running_fleet(tmp_path, SHUTDOWN_GRACE="20") as fleet:
        stopping = fleet.worker("nap")
        job_id = fleet.submit("nap", {"path": "note.txt", "seconds": 1})
        fleet.wait(job_id, "running")
        assert end(stopping) == 0
        assert fleet.job(job_id)["status"] == "completed"


def test_priorities_are_strict_and_equals_are_first_come_first_served(fleet: Fleet) -> None:
    (fleet.folder / "order").touch()
    fleet.worker("trace")
    service = fleet.platform.service
    jobs = [
        service.prepare(
            {"type": "trace", "payload": {"path": "order", "text": f"{priority}{letter}"}, "priority": priority}
        )
        for letter in "abc"
        for priority in (4, 3, 2, 1, 0)
    ]
    fleet.wait(fleet.submit("trace", {"path": "order", "text": "blocker", "seconds": 2}), "running")
    service.create(jobs)
    for job in jobs:
        fleet.wait(job.id)
    expected = ["blocker", *(f"{priority}{letter}" for priority in range(5) for letter in "abc")]
    assert (fleet.folder / "order").read_text().splitlines() == expected


def test_the_node_runs_no_more_jobs_than_it_may_and_starves_no_queue(tmp_path: Path) -> None:
    with running_fleet(tmp_path, MAX_CONCURRENT_JOBS="1") as fleet:
        (fleet.folder / "order").touch()
        fleet.worker("trace")
        fleet.worker("nap")
        busy = [fleet.submit("trace", {"path": "order", "text": "t", "seconds": 0.2}) for _ in range(12)]
        eventually(lambda: fleet.counts()["running"])
        other = fleet.submit("nap", {"path": "note.txt", "seconds": 0.2})
        most = 0
        while fleet.job(other)["status"] not in ("completed", "failed"):
            most = max(most, fleet.counts()["running"])
        assert most == 1
        assert fleet.job(busy[-1])["status"] == "queued", "the other queue need not wait for the busy one to be empty"
        for job_id in busy:
            assert fleet.wait(job_id)["status"] == "completed"


def test_a_message_that_is_lost_is_replaced(fleet: Fleet) -> None:
    fleet.start("scheduler")
    lost, kept = fleet.submit("noop"), fleet.submit("noop")
    assert fleet.platform.connector.client.rpop("wp:noop\x06\x162")
    fleet.worker("noop")
    assert fleet.wait(kept)["status"] == "completed"
    assert fleet.wait(lost)["status"] == "completed"
    assert fleet.job(lost)["attempts"] == 1


def test_a_job_that_cannot_write_does_not_harm_its_neighbours(fleet: Fleet) -> None:
    (fleet.folder / "file").touch()
    fleet.worker("nap")
    paths = [f"out/{number}.txt" if number % 4 else f"file/{number}.txt" for number in range(24)]
    jobs = {path: fleet.submit("nap", {"path": path, "text": path}, maxRetries=0) for path in paths}
    for path, job_id in jobs.items():
        job = fleet.wait(job_id)
        expected = ("completed", None) if path.startswith("out/") else ("failed", "bad_input")
        assert (job["status"], job["errorCode"]) == expected, job
    assert fleet.leftovers() == []
