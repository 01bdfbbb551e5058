"""Disks that run full under real workers: said as `no_space`, tried again, and nothing is left."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disks import small_disk
from tests.integration.fleet import Fleet, log_events, running_fleet
from tests.waiting import eventually

SIZE = 8 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    with small_disk(tmp_path / "disk") as folder:
        yield folder


@pytest.fixture
def fleet(tmp_path: Path, disk: Path) -> Iterator[Fleet]:
    """A fleet that may write to the small disk."""
    with running_fleet(tmp_path, ALLOWED_ROOTS=f"{tmp_path},{disk}") as fleet:
        yield fleet


def test_a_job_that_fills_its_disk_says_so_and_leaves_nothing(fleet: Fleet, disk: Path) -> None:
    fleet.worker("fill")
    fleet.start("scheduler")
    for how in ("handler", "child", "program"):
        job = fleet.wait(fleet.submit("fill", {"path": f"disk/{how}/full.bin", "text": how}))
        assert (job["status"], job["errorCode"], job["attempts"]) == ("failed", "no_space", 2), how
        eventually(lambda: not list(disk.iterdir()))
    eventually(lambda: fleet.leftovers() == [])


def test_a_job_is_not_begun_where_there_is_no_room_and_succeeds_once_there_is(fleet: Fleet, disk: Path) -> None:
    (disk / "others").write_bytes(bytes(SIZE - (1 << 16)))
    fleet.worker("nap")
    fleet.start("scheduler")
    policy = {"maxRetries": 100, "backoff": "fixed", "initialDelay": 200}
    job_id = fleet.submit("nap", {"path": "disk/note.txt", "text": "hello"}, retryPolicy=policy)
    eventually(lambda: fleet.job(job_id)["retries"])
    waiting = fleet.job(job_id)
    assert waiting["errorCode"] == "no_space" and "MIN_FREE_BYTES" in waiting["error"]
    (disk / "others").unlink()
    assert fleet.wait(job_id)["status"] == "completed"
    assert [path.name for path in disk.iterdir()] == ["note.txt"]


def test_a_job_that_takes_more_than_it_may_is_stopped(tmp_path: Path) -> None:
    with running_fleet(tmp_path, SCRATCH_LIMIT_BYTES="1000000") as fleet:
        fleet.worker("fill")
        job = fleet.wait(fleet.submit("fill", {"path": "out.bin", "seconds": 0.02}, maxRetries=0))
        assert (job["status"], job["errorCode"]) == ("failed", "no_space")
        assert "may take 1.0 MB (SCRATCH_LIMIT_BYTES)" in job["error"]
        eventually(lambda: fleet.leftovers() == [])
        [told] = [line for line in log_events(fleet) if line["event"] == "space_ran_out"]
        assert told["job_id"] == job["jobId"] and told["taken_bytes"] > 1_000_000
