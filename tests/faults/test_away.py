"""Redis that is away, hangs, or cannot write: what clients are told meanwhile, and that running jobs go on."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.disks import small_disk
from tests.faults.platform import Api, a_nap, all_completed, differences, start_api
from tests.integration.fleet import Fleet, log_events, running_fleet
from tests.waiting import eventually


def assert_says_that_redis_is_away(answer: requests.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["code"] == "store_unavailable"


def test_jobs_that_run_while_redis_is_away_go_on_and_report_when_it_is_back(fleet: Fleet) -> None:
    fleet.start("scheduler")
    fleet.worker("nap")
    api = start_api(fleet)
    outlasting = api.submit(a_nap("long.txt", seconds=12)).json()["jobId"]
    ending = api.submit(a_nap("short.txt", seconds=2)).json()["jobId"]
    for job_id in (outlasting, ending):
        fleet.wait(job_id, "running")
    fleet.server.kill()
    assert_says_that_redis_is_away(api.submit(a_nap("refused.txt")))
    assert_says_that_redis_is_away(api.get(f"/api/jobs/{ending}"))
    # Longer than the leases last, and past the end of the short one's work.
    eventually(lambda: len([line for line in log_events(fleet) if line["event"] == "beat_failed"]) >= 10)
    assert not (fleet.folder / "short.txt").exists(), "nothing is put in place without knowing whose job it is"
    fleet.server.start()
    all_completed(fleet, [ending, outlasting])
    assert [fleet.job(job_id)["attempts"] for job_id in (ending, outlasting)] == [1, 1]
    assert api.submit(a_nap("accepted.txt")).status_code == 202
    assert not (fleet.folder / "refused.txt").exists()
    assert differences(fleet) == []


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, Api]]:
    """A server and an API for the tests that leave them as they were."""
    with running_fleet(tmp_path_factory.mktemp("stand")) as fleet:
        yield fleet, start_api(fleet)


def test_a_redis_that_hangs_is_given_up_on_before_a_client_gives_up(stand: tuple[Fleet, Api]) -> None:
    fleet, api = stand
    assert api.submit(a_nap("first.txt")).status_code == 202
    os.kill(fleet.server.pid, signal.SIGSTOP)
    try:
        assert_says_that_redis_is_away(api.submit(a_nap("second.txt"), timeout_s=4.5))
        assert_says_that_redis_is_away(api.get("/api/jobs", timeout_s=4.5))
    finally:
        os.kill(fleet.server.pid, signal.SIGCONT)
    eventually(lambda: api.submit(a_nap("third.txt")).status_code == 202)
    assert differences(fleet) == []


@pytest.mark.parametrize(
    ("setting", "off", "on", "reason"),
    [("maxmemory", "1", "0", "out of memory"), ("min-replicas-to-write", "1", "0", "too few of its replicas")],
)
def test_a_redis_that_takes_no_writes_is_told_with_the_reason(
    stand: tuple[Fleet, Api], setting: str, off: str, on: str, reason: str
) -> None:
    fleet, api = stand
    before = api.get("/api/jobs").json()["total"]
    fleet.platform.connector.client.config_set(setting, off)
    try:
        for document in (a_nap("second.txt"), [a_nap("third.txt")] * 20):
            refused = api.submit(document)
            assert_says_that_redis_is_away(refused)
            assert reason in refused.json()["detail"]
        assert api.get("/api/jobs").json()["total"] == before
    finally:
        fleet.platform.connector.client.config_set(setting, on)
    assert api.submit(a_nap("fourth.txt")).status_code == 202
    assert differences(fleet) == []


def test_a_full_disk_under_the_server_refuses_jobs_until_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, running_fleet(tmp_path, DATA_DIR=str(disk / "data")) as fleet:
        api = start_api(fleet)
        stuffing = disk / "stuffing"
        with stuffing.open("wb", buffering=0) as file:
            fill(file.fileno())
        accepted = submit_until_refused(api)
        refused = api.submit(a_nap("refused.txt", text="x" * 100_000))
        assert_says_that_redis_is_away(refused)
        assert "cannot write to its disk" in refused.json()["detail"]
        stuffing.unlink()
        last = eventually(lambda: submitted(api))
        assert [fleet.job(job_id)["status"] for job_id in (*accepted, last)] == ["queued"] * (len(accepted) + 1)
        assert differences(fleet) == []
        fleet.server.kill()
        fleet.server.start()
        assert fleet.job(last)["status"] == "queued", "nothing was torn"
        assert differences(fleet) == []


def fill(descriptor: int) -> None:
    """Write until the disk is full."""
    size = 1 << 20
    while size:
        try:
            os.write(descriptor, bytes(size))
        except OSError:
            size //= 2


def submit_until_refused(api: Api) -> list[str]:
    """Submit large jobs until one is not accepted; returns those that were."""
    accepted: list[str] = []
    while len(accepted) < 100:
        answer = api.submit(a_nap("stored.txt", text="x" * 100_000))
        if answer.status_code != 202:
            return accepted
        accepted.append(answer.json()["jobId"])
        threading.Event().wait(0.02)
    raise AssertionError("a full disk took a hundred jobs")


def submitted(api: Api) -> str:
    answer = api.submit(a_nap("stored.txt"))
    return str(answer.json()["jobId"]) if answer.status_code == 202 else ""
