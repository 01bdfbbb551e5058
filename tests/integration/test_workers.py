"""Real workers in the register: announced, killed, drained, several of them on several nodes."""

import signal
from typing import Any

from tests.integration.fleet import Fleet
from tests.waiting import eventually


def workers_of(fleet: Fleet) -> list[dict[str, Any]]:
    """The workers as the API shows them."""
    workers: list[dict[str, Any]] = fleet.platform.service.workers()["workers"]
    return workers


def test_a_worker_tells_what_it_runs_and_how_it_fares(fleet: Fleet) -> None:
    process = fleet.worker("nap")
    job_id = fleet.submit("nap", {"path": "nap.txt", "seconds": 60})

    def runs_it() -> dict[str, Any] | None:
        (worker,) = workers_of(fleet)
        return worker if worker["jobs"] and worker["jobs"][0]["progress"] > 0 else None

    worker = eventually(runs_it)
    assert worker is not None
    assert worker["pid"] == process.pid
    assert worker["node"] == fleet.settings.node_name
    assert worker["name"] == f"nap@{fleet.settings.node_name}"
    assert (worker["status"], worker["queues"], worker["slots"]) == ("ready", ["nap"], 2)
    assert worker["memoryBytes"] > 10_000_000
    assert worker["freeScratchBytes"] > 0
    assert worker["startedAt"] < worker["seenAt"]
    (job,) = worker["jobs"]
    assert (job["jobId"], job["type"], job["stage"]) == (job_id, "nap", "napping")
    assert job["startedAt"] == fleet.job(job_id)["startedAt"]
    fleet.platform.service.cancel(job_id)
    eventually(lambda: workers_of(fleet)[0]["jobs"] == [])


def test_workers_of_one_queue_are_told_apart_and_a_killed_one_is_gone(fleet: Fleet) -> None:
    processes = [fleet.start("worker", "nap", NODE_NAME=node) for node in ("n1", "n2", "n2")]
    processes.append(fleet.start_celery("-Q", "nap,flaky", "--hostname", "both@n3", "--concurrency", "3"))
    eventually(lambda: len(workers_of(fleet)) == 4)
    answer = fleet.platform.service.workers()
    assert {worker["pid"] for worker in answer["workers"]} >= {process.pid for process in processes}
    assert [(node["queues"], node["workers"]) for node in answer["nodes"]] == [
        (["nap"], 1),
        (["nap"], 2),
        (["flaky", "nap"], 1),
    ]
    assert answer["queues"]["nap"] == {"workers": 4, "slots": 9}

    for process in processes[1:]:
        process.kill()
    eventually(lambda: [worker["pid"] for worker in workers_of(fleet)] == [processes[0].pid])
    assert "nap" in fleet.platform.store.queues.states().served
    assert "flaky" in fleet.platform.service.unserved_queues()

    processes[0].kill()
    eventually(lambda: workers_of(fleet) == [])
    assert fleet.job(fleet.submit("nap", {"path": "nap.txt"}))["waitingReason"] == "no_worker"


def test_a_drained_worker_serves_nothing_at_once_and_is_seen_until_its_jobs_end(fleet: Fleet) -> None:
    # announcements that stand for 10 minutes: only what the worker says at its end can take it from the register
    worker = fleet.worker("nap", LEASE="600", SHUTDOWN_GRACE="60")
    job_id = fleet.submit("nap", {"path": "nap.txt", "seconds": 6})
    fleet.wait(job_id, "running")
    worker.send_signal(signal.SIGTERM)
    eventually(lambda: "nap" not in fleet.platform.store.queues.states().served)
    (seen,) = workers_of(fleet)
    assert seen["status"] == "draining"
    assert fleet.job(job_id)["status"] == "running"
    fleet.wait(job_id, "completed")
    assert worker.wait(20) == 0
    assert workers_of(fleet) == []
