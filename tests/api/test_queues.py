"""/api/queues: pausing, resuming and purging, seen from outside."""

from flask.testing import FlaskClient

from tests.api.running import JOB
from tests.builders import a_claimant, a_message
from workplatform.bootstrap import Platform


def submitted(client: FlaskClient, **fields: object) -> str:
    return str(client.post("/api/jobs", json={**JOB, **fields}).get_json()["jobId"])


def test_a_paused_queue_says_so_at_its_jobs(client: FlaskClient) -> None:
    job_id = submitted(client)
    assert client.post("/api/queues/nap/pause").get_json() == {"queue": "nap", "paused": True}
    assert client.get(f"/api/jobs/{job_id}").get_json()["waitingReason"] == "queue_paused"
    assert client.get("/api/jobs").get_json()["jobs"][0]["waitingReason"] == "queue_paused"
    nap = {"types": ["nap"], "served": False, "paused": True, "draining": False}
    assert client.get("/api/queues").get_json()["queues"]["nap"] == {**nap, "waiting": 1, "running": 0, "empty": False}
    assert client.post("/api/queues/nap/resume").get_json() == {"queue": "nap", "paused": False, "draining": False}
    assert client.get(f"/api/jobs/{job_id}").get_json()["waitingReason"] == "no_worker"


def test_purging_cancels_what_is_queued_and_nothing_else(client: FlaskClient, platform: Platform) -> None:
    running, delayed = submitted(client), submitted(client, delay="1h")
    platform.store.claim(running, a_claimant(), claim="w", message=b"{}")
    queued = [submitted(client) for _ in range(3)]
    assert client.post("/api/queues/nap/purge").get_json() == {"queue": "nap", "cancelled": 3}
    page = client.get("/api/jobs?type=nap").get_json()
    statuses = {job["jobId"]: job["status"] for job in page["jobs"]}
    assert statuses == {running: "running", delayed: "scheduled"} | dict.fromkeys(queued, "cancelled")


def test_purging_cancels_what_waits_for_a_limit_too(client: FlaskClient, platform: Platform) -> None:
    platform.limits.put("types", "nap", {"concurrency": 1})
    running, *over = (submitted(client) for _ in range(4))
    child = submitted(client, dependsOn=[running])
    for job_id in (running, *over[:2]):
        platform.store.claim(job_id, a_claimant(), claim=job_id, message=a_message(job_id))
    assert client.get(f"/api/jobs/{over[0]}").get_json()["waitingReason"] == "concurrency_limit"
    assert client.post("/api/queues/nap/purge").get_json() == {"queue": "nap", "cancelled": 3}
    statuses = {job["jobId"]: job["status"] for job in client.get("/api/jobs").get_json()["jobs"]}
    assert statuses == {running: "running", child: "waiting"} | dict.fromkeys(over, "cancelled")


def test_an_unknown_queue_is_named_with_those_that_exist(client: FlaskClient) -> None:
    for verb in ("pause", "drain", "resume", "purge"):
        answer = client.post(f"/api/queues/naps/{verb}")
        assert answer.status_code == 404
        assert "there are" in answer.get_json(force=True)["error"]
