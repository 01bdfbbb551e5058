"""GET /api/workers, and what else rests on it."""

from typing import Any

from flask.testing import FlaskClient

from tests.builders import LEASE, a_claimant, an_announcement
from workplatform.bootstrap import Platform


def shown(client: FlaskClient, **filters: str) -> dict[str, Any]:
    """Return the answer."""
    response = client.get("/api/workers", query_string=filters)
    assert response.status_code == 200
    document: dict[str, Any] = response.get_json()
    return document


def submitted(client: FlaskClient) -> str:
    """Submit a nap; returns its id."""
    job = {"type": "nap", "payload": {"path": "out.txt"}}
    return str(client.post("/api/jobs", json=job).get_json()["jobId"])


def test_without_workers_every_queue_is_unserved(client: FlaskClient, platform: Platform) -> None:
    document = shown(client)
    assert (document["workers"], document["nodes"]) == ([], [])
    assert document["unserved"] == sorted(platform.registry.queues)
    assert document["queues"]["nap"] == {"workers": 0, "slots": 0}


def test_a_worker_is_shown_with_what_it_said_and_runs(client: FlaskClient, platform: Platform) -> None:
    job_id = submitted(client)
    platform.store.claim(job_id, a_claimant(), claim="word", message=b"{}")
    platform.store.workers.announce("nap@n1/0", an_announcement("nap"), attempts=[(job_id, 1)], lifetime=LEASE)
    (worker,) = shown(client)["workers"]
    (job,) = worker.pop("jobs")
    assert (job.pop("startedAt") or "").endswith("Z")
    assert job == {"jobId": job_id, "type": "nap", "progress": 0, "stage": None}
    assert worker.pop("startedAt") == worker.pop("seenAt")
    assert worker == {
        "id": "nap@n1/0",
        "name": "nap@n1",
        "node": "n1",
        "host": "host-1",
        "pid": 7,
        "version": "0.0.0",
        "status": "ready",
        "queues": ["nap"],
        "slots": 2,
        "cpuPercent": 12.5,
        "memoryBytes": 1000,
        "load": [0.5, 0.25, 0.125],
        "cores": 4,
        "freeScratchBytes": 5000,
    }


def test_nodes_and_queues_are_summed_up(client: FlaskClient, platform: Platform) -> None:
    for worker_id, about in (
        ("a", an_announcement("nap", host="host-1")),
        ("b", an_announcement("nap", host="host-1b", slots=3, free_scratch_bytes=10)),
        ("c", an_announcement("noop", node="n2")),
        ("d", an_announcement("nap", node="n2", is_draining=True)),
    ):
        platform.store.workers.announce(worker_id, about, lifetime=LEASE)
    document = shown(client)
    first, second = document["nodes"]
    assert first == {
        "node": "n1",
        "hosts": ["host-1", "host-1b"],
        "workers": 2,
        "queues": ["nap"],
        "running": 0,
        "slots": 5,
        "maxConcurrentJobs": 5,
        "cpuPercent": 25.0,
        "memoryBytes": 2000,
        "load": [0.5, 0.25, 0.125],
        "cores": 4,
        "freeScratchBytes": 10,
    }
    assert (second["node"], second["workers"], second["queues"]) == ("n2", 2, ["nap", "noop"])
    assert document["queues"]["nap"] == {"workers": 2, "slots": 5}
    assert [worker["status"] for worker in document["workers"]] == ["ready", "ready", "ready", "draining"]
    assert document["unserved"] == sorted(set(platform.registry.queues) - {"nap", "noop"})


def test_workers_are_chosen_by_queue_and_by_node(client: FlaskClient, platform: Platform) -> None:
    for worker_id, about in (
        ("a", an_announcement("nap")),
        ("b", an_announcement("nap", "noop", node="n2")),
        ("c", an_announcement("noop", node="n2")),
    ):
        platform.store.workers.announce(worker_id, about, lifetime=LEASE)
    of_queue = shown(client, queue="nap")
    assert [worker["id"] for worker in of_queue["workers"]] == ["a", "b"]
    assert of_queue["queues"] == {"nap": {"workers": 2, "slots": 4}}
    assert of_queue["unserved"] == []
    assert [worker["id"] for worker in shown(client, node="n2")["workers"]] == ["b", "c"]
    assert shown(client, node="n3")["workers"] == []
    assert client.get("/api/workers?queue=naps").get_json()["code"] == "bad_parameter"


def test_a_job_whose_queue_nobody_serves_says_so_wherever_it_is_shown(client: FlaskClient, platform: Platform) -> None:
    job_id = submitted(client)

    def reasons() -> list[str | None]:
        (listed,) = client.get("/api/jobs").get_json()["jobs"]
        (followed,) = platform.service.snapshots([job_id])[1]
        return [job["waitingReason"] for job in (client.get(f"/api/jobs/{job_id}").get_json(), listed, followed)]

    assert reasons() == ["no_worker"] * 3
    platform.store.workers.announce("w1", an_announcement("nap"), lifetime=LEASE)
    assert reasons() == [None] * 3
    platform.store.workers.announce("w1", an_announcement("nap", is_draining=True), lifetime=LEASE)
    assert reasons() == ["no_worker"] * 3
