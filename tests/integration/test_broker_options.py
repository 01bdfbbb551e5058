"""The broker options that celeryconfig.py sets, each proven on a real worker and a real server."""

import os
import signal

import pytest

from tests.integration.fleet import Fleet
from tests.waiting import eventually
from workplatform.celery_app import Transport, app


@pytest.fixture
def busy(fleet: Fleet) -> tuple[Fleet, str]:
    """A worker for two naps at a time that has one of some seconds running."""
    fleet.worker("nap")
    job_id = fleet.submit("nap", {"path": "note.txt", "text": "once", "seconds": 3})
    fleet.wait(job_id, "running")
    return fleet, job_id


def assert_ran_once(fleet: Fleet, job_id: str) -> None:
    job = fleet.wait(job_id)
    assert (job["status"], job["attempts"]) == ("completed", 1)
    assert fleet.events(job_id).count("job:started") == 1


def keys(fleet: Fleet) -> set[str]:
    return {str(key) if isinstance(key, str) else key.decode() for key in fleet.platform.connector.client.keys("*")}


def test_no_acknowledgement_is_emulated(busy: tuple[Fleet, str]) -> None:
    fleet, _ = busy
    assert not [key for key in keys(fleet) if "unacked" in key]


def test_no_message_is_restored_or_dumped_when_the_server_goes_away(busy: tuple[Fleet, str]) -> None:
    fleet, job_id = busy
    assert isinstance(app.connection_for_read().transport, Transport)
    assert not Transport.Channel.do_restore
    fleet.server.kill()
    fleet.server.start()
    assert_ran_once(fleet, job_id)
    told = (fleet.folder / "roles.log").read_text()
    assert "Connection to broker lost" in told
    assert "estoring" not in told and "RESTORE" not in told and "DUMP" not in told


def test_every_key_has_the_prefix(busy: tuple[Fleet, str]) -> None:
    fleet, _ = busy
    assert all(key.startswith("wp:") for key in keys(fleet))


def test_a_dropped_connection_neither_stops_nor_repeats_a_running_job(busy: tuple[Fleet, str]) -> None:
    fleet, job_id = busy
    client = fleet.platform.connector.client
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert_ran_once(fleet, job_id)
    assert fleet.wait(fleet.submit("nap", {"path": "after.txt"}))["status"] == "completed"


def test_no_message_is_held_beyond_the_running_jobs(fleet: Fleet) -> None:
    fleet.worker("nap")
    jobs = [fleet.submit("nap", {"path": f"{number}.txt", "seconds": 600}) for number in range(6)]
    eventually(lambda: fleet.counts()["running"] == 2)
    client = fleet.platform.connector.client
    assert client.llen("wp:nap\x06\x162") == 4
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    urgent = fleet.submit("nap", {"path": "urgent.txt"}, priority=0)
    eventually(lambda: client.info("clients")["blocked_clients"] == 0)
    assert client.llen("wp:nap\x06\x162") == 4, "not after a reconnect either"
    assert client.llen("wp:nap") == 1
    fleet.platform.service.cancel(jobs[0])
    assert fleet.wait(urgent)["status"] == "completed"


def test_a_worker_consumes_again_after_its_server_was_killed_and_started(busy: tuple[Fleet, str]) -> None:
    fleet, job_id = busy
    for _ in range(2):
        fleet.server.kill()
        fleet.server.start()
        after = fleet.submit("nap", {"path": "after.txt"})
        assert fleet.wait(after)["status"] == "completed"
    assert_ran_once(fleet, job_id)


def test_celerys_own_command_line_starts_a_worker_too(fleet: Fleet) -> None:
    worker = fleet.start_celery("-Q", "nap")
    fleet.wait_served("nap")
    assert fleet.wait(fleet.submit("nap", {"path": "note.txt"}))["status"] == "completed"
    slots = [fleet.submit("nap", {"path": f"{number}.txt", "seconds": 30}) for number in range(3)]
    eventually(lambda: fleet.counts()["running"] == 2)
    assert fleet.job(slots[2])["status"] == "queued", "its concurrency is that of the queue's job types"
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(20) == 0


def test_an_unknown_queue_is_refused_by_name(fleet: Fleet) -> None:
    worker = fleet.start("worker", "nothing")
    assert worker.wait(30) != 0
    assert "there is no queue 'nothing'" in (fleet.folder / "roles.log").read_text()
