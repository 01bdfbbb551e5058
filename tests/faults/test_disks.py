"""Disks that cannot be written to any more: the jobs say so, and workers go on with what needs no disk."""

import subprocess
from pathlib import Path

from tests.disks import small_disk
from tests.faults.platform import differences
from tests.integration.fleet import running_fleet
from workplatform import embedded


def make_read_only(disk: Path) -> None:
    subprocess.run(["/bin/mount", "-o", "remount,ro", disk], check=True)


def test_an_output_folder_that_is_read_only_is_named(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, running_fleet(tmp_path) as fleet:
        fleet.worker("nap")
        make_read_only(disk)
        job = fleet.wait(fleet.submit("nap", {"path": "disk/note.txt"}, maxRetries=0))
        assert (job["status"], job["attempts"]) == ("failed", 1)
        assert "read-only" in job["error"].lower(), job
        assert fleet.wait(fleet.submit("nap", {"path": "note.txt"}))["status"] == "completed"
        assert differences(fleet) == []


def test_a_data_directory_that_is_read_only_is_named_by_the_jobs_that_need_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, running_fleet(tmp_path) as fleet:
        make_read_only(disk)
        fleet.start("scheduler")
        url = f"unix://{embedded.socket_path(fleet.settings)}"
        worker = fleet.worker("nap", DATA_DIR=str(disk), QUEUE_TYPE="redis", REDIS_URL=url)
        job = fleet.wait(fleet.submit("nap", {"path": "note.txt"}, maxRetries=0))
        assert (job["status"], job["attempts"]) == ("failed", 1)
        assert "read-only" in job["error"].lower(), job
        assert worker.poll() is None
        assert not list(tmp_path.glob("note.txt*"))
        assert differences(fleet) == []
