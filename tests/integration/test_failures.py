"""Failures and retention with real workers and schedulers."""

import signal
from pathlib import Path

from tests.integration.fleet import Fleet, running_fleet
from tests.waiting import eventually
from workplatform.failures import FailureService
from workplatform.store.failures import FailureFilter


def found(failures: FailureService, fingerprint: str) -> list[str]:
    """Ids of the failed jobs with a fingerprint."""
    page = failures.search(FailureFilter(fingerprint=fingerprint), limit=50)
    return [str(job["jobId"]) for job in page.jobs]


def test_alike_failures_are_one_group_and_are_retried_though_a_scheduler_is_killed(fleet: Fleet) -> None:
    fleet.worker("flaky")
    schedulers = [fleet.start("scheduler"), fleet.start("scheduler")]
    jobs = [fleet.submit("broken", {"path": f"{number}.txt", "text": "bad input"}) for number in range(60)]
    ended = [fleet.wait(job_id) for job_id in jobs]
    [fingerprint] = {str(job["errorFingerprint"]) for job in ended}
    failures, retrying = fleet.platform.failures, fleet.platform.retrying
    assert failures.error(fingerprint)["count"] == 60

    stopped = retrying.many({"filter": {"fingerprint": fingerprint}, "canary": 2})
    eventually(lambda: retrying.get(stopped["retryId"])["status"] == "stopped")
    assert sorted(retrying.get(stopped["retryId"])["canaryJobs"]) == sorted(found(failures, fingerprint)[:2])

    begun = retrying.many({"filter": {"fingerprint": fingerprint}})
    schedulers[0].send_signal(signal.SIGKILL)
    eventually(lambda: retrying.get(begun["retryId"])["status"] == "completed")
    told = retrying.get(begun["retryId"])
    assert (told["retried"], told["skipped"]) == (60, 0)
    for job_id in jobs:
        fleet.wait(job_id)
    assert failures.error(fingerprint)["count"] == 60 + 2 + 60
    assert len(found(failures, fingerprint)) == 50


def test_what_a_job_made_goes_with_it(tmp_path: Path) -> None:
    with running_fleet(tmp_path, RETENTION="0.5", RETENTION_FAILED="600", OUTPUTS_EXPIRE="true") as fleet:
        fleet.worker("nap")
        kept = fleet.submit("nap", {"path": "data/kept.txt", "text": "kept"}, outputsExpire=False)
        gone = fleet.submit("nap", {"path": "data/gone/gone.txt", "text": "gone"})
        elsewhere = fleet.submit("nap", {"path": "elsewhere.txt", "text": "elsewhere"})
        for job_id in (kept, gone, elsewhere):
            assert fleet.wait(job_id)["status"] == "completed"
        assert (tmp_path / "data" / "gone" / "gone.txt").read_text()
        fleet.start("scheduler")
        eventually(lambda: fleet.counts()["completed"] == 0)
        eventually(lambda: not (tmp_path / "data" / "gone").exists())
        eventually(lambda: not list((tmp_path / "data" / "expiring").iterdir()))
        assert (tmp_path / "data" / "kept.txt").exists()
        assert (tmp_path / "elsewhere.txt").exists()
