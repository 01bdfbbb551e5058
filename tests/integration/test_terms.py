"""Terms end to end: delayed, expired, overdue and stalled jobs with real workers and a real scheduler."""

from tests.integration.fleet import Fleet
from tests.waiting import eventually


def test_a_delayed_job_runs_after_its_delay(fleet: Fleet) -> None:
    fleet.worker("nap")
    fleet.start("scheduler")
    job = fleet.wait(fleet.submit("nap", {"path": "a"}, delay=700))
    assert job["status"] == "completed"
    assert job["startedAt"] > job["createdAt"]
    assert fleet.events(job["jobId"]) == ["job:queued", "job:queued", "job:started", "job:completed"]


def test_a_job_that_nobody_begins_in_time_fails_as_expired(fleet: Fleet) -> None:
    fleet.start("scheduler")
    job = fleet.wait(fleet.submit("nap", {"path": "a"}, ttl="200ms"))
    assert (job["status"], job["errorCode"], job["attempts"]) == ("failed", "expired", 0)
    assert "had to begin by" in job["error"]


def test_a_running_job_is_stopped_at_its_deadline_and_leaves_nothing(fleet: Fleet) -> None:
    fleet.worker("nap")
    fleet.start("scheduler")
    job = fleet.wait(fleet.submit("nap", {"path": "a", "seconds": 60}, deadline="1s"))
    assert (job["status"], job["errorCode"]) == ("failed", "deadline")
    eventually(lambda: fleet.leftovers() == [])
    assert not (fleet.folder / "a").exists()


def test_an_attempt_that_stands_still_is_ended_and_retried(fleet: Fleet) -> None:
    fleet.worker("stuck")
    fleet.start("scheduler")
    job = fleet.wait(fleet.submit("stuck", {}, stallTimeout="300ms", maxRetries=1))
    assert (job["status"], job["errorCode"], job["attempts"]) == ("failed", "stalled", 2)


def test_a_paused_queue_holds_its_jobs_until_it_is_resumed(fleet: Fleet) -> None:
    fleet.worker("nap")
    fleet.platform.service.pause("nap", is_paused=True)
    job_id = fleet.submit("nap", {"path": "a"})
    other = fleet.submit("nap", {"path": "b"})
    eventually(lambda: fleet.job(job_id)["waitingReason"] == "queue_paused")
    fleet.platform.service.pause("nap", is_paused=False)
    assert [fleet.wait(name)["status"] for name in (job_id, other)] == ["completed", "completed"]
    assert fleet.job(job_id)["attempts"] == 1
