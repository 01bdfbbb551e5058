"""Workers that live and hear nothing are noticed by what they do not take, and those that only wait are left alone."""

from pathlib import Path

from tests.faults.platform import all_completed
from tests.faults.relay import relaying
from tests.integration.fleet import Fleet, log_events, running_fleet
from tests.running import running_up
from tests.waiting import eventually
from workplatform import embedded
from workplatform.bootstrap import build

EAGER = {"LEASE": "6", "HEARTBEAT": "0.5", "DEAF_AFTER": "3", "SHUTDOWN_GRACE": "2"}
NAPS = {"JOB_PACKAGES": "tests.nap_jobs"}


def test_a_deaf_worker_ends_and_is_started_again(tmp_path: Path) -> None:
    with (
        running_fleet(tmp_path, **NAPS) as fleet,
        relaying(embedded.socket_path(fleet.settings)) as relay,
        running_up(tmp_path / "up", **EAGER, QUEUE_TYPE="redis", REDIS_URL=relay.url, **NAPS) as up,
    ):
        relay.is_deaf = True
        heard = relay.popped
        eventually(lambda: relay.popped > heard + 1)  # what was asked for before is answered
        unheard = [fleet.submit("nap", {"seconds": 0}) for _ in range(2)]
        eventually(lambda: "worker_is_deaf" in up.text)
        eventually(lambda: "role_died" in up.text)
        relay.is_deaf = False
        all_completed(fleet, unheard)
        assert [fleet.job(job_id)["attempts"] for job_id in unheard] == [1, 1]


def test_workers_that_wait_for_a_good_reason_are_left_alone(fleet: Fleet) -> None:
    build(fleet.settings).service.pause("noop", is_paused=True)
    paused = fleet.worker("noop", **EAGER)
    full = fleet.worker("stuck", **EAGER)
    crowded = fleet.worker("slow", **EAGER, NODE_NAME="small", MAX_CONCURRENT_JOBS="1")
    fleet.worker("trace", **EAGER, NODE_NAME="small", MAX_CONCURRENT_JOBS="1")
    (fleet.folder / "trace.txt").touch()
    fleet.wait(fleet.submit("stuck"), "running")
    fleet.wait(fleet.submit("trace", {"path": "trace.txt", "seconds": 60}), "running")
    for job_type, payload in (("noop", {}), ("stuck", {}), ("slow", {"path": "", "seconds": 0})):
        fleet.submit(job_type, payload)
    register = fleet.platform.store.workers
    begun = {worker.id: worker.seen_at for worker in register.everyone()}
    patience_s = 2 * float(EAGER["DEAF_AFTER"])
    eventually(
        lambda: all((worker.seen_at - begun[worker.id]).total_seconds() > patience_s for worker in register.everyone())
    )
    assert len(register.everyone()) == len(begun) == 4
    assert all(worker.poll() is None for worker in (paused, full, crowded))
    assert not [line for line in log_events(fleet) if line["event"] == "worker_is_deaf"]
