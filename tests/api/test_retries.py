"""Retrying over HTTP: one job, changed or not, and many by a filter."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.running import JOB as A_JOB
from tests.api.test_failures import failed, ids
from tests.builders import a_claimant, completed
from workplatform.bootstrap import Platform

JOB: dict[str, Any] = A_JOB


def complete(platform: Platform, job_id: str) -> None:
    """Run a job as a worker would."""
    grant: Any = platform.store.claim(job_id, a_claimant(), claim=f"{job_id}-again", message=b"{}")
    assert platform.store.settle(job_id, grant.fence, completed()).is_accepted


def test_a_job_is_retried_with_a_change_that_its_history_tells(client: FlaskClient, platform: Platform) -> None:
    job_id = failed(client, platform, tags=["red"], maxRetries=1)
    changes = {"payload": {"seconds": 0.5}, "priority": 0, "maxRetries": None}
    response = client.post(f"/api/jobs/{job_id}/retry", json=changes)
    assert (response.status_code, response.get_json()) == (202, {"jobId": job_id, "status": "queued"})
    job = client.get(f"/api/jobs/{job_id}").get_json()
    assert (job["payload"], job["priority"], job["tags"]) == ({**JOB["payload"], "seconds": 0.5}, 0, ["red"])
    [edit] = job["edits"]
    assert edit["before"] == {"payload": JOB["payload"], "priority": 2, "maxRetries": 1}
    assert (edit["error"], job["error"]) == ("no frame 1", None)
    complete(platform, job_id)
    assert client.get(f"/api/jobs/{job_id}").get_json()["status"] == "completed"


def test_a_retry_without_changes_leaves_no_history(client: FlaskClient, platform: Platform) -> None:
    options: dict[str, Any]
    nothing = {"data": b"", "content_type": "application/json"}
    for options in ({}, nothing, {"json": {}}, {"json": {"priority": 2, "payload": {}}}):
        job_id = failed(client, platform)
        assert client.post(f"/api/jobs/{job_id}/retry", **options).status_code == 202
        assert client.get(f"/api/jobs/{job_id}").get_json()["edits"] == []


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"payload": {"seconds": "long"}}, "/payload/seconds"),
        ({"payload": {"secnods": 1}}, "/payload/secnods"),
        ({"type": "hls"}, "/type"),
        ({"uniqueKey": "a"}, "/uniqueKey"),
        ({"priority": 9}, "/priority"),
        ({"callback": "no url"}, "/callback/url"),
        ([], ""),
    ],
)
def test_a_wrong_change_is_told_field_by_field_and_changes_nothing(
    client: FlaskClient, platform: Platform, changes: object, pointer: str
) -> None:
    job_id = failed(client, platform)
    response = client.post(f"/api/jobs/{job_id}/retry", json=changes)
    assert response.status_code == 422, response.text
    assert [item["pointer"] for item in response.get_json(force=True)["errors"]] == [pointer]
    job = client.get(f"/api/jobs/{job_id}").get_json()
    assert (job["status"], job["edits"]) == ("failed", [])


def test_a_job_is_changed_a_bounded_number_of_times(client: FlaskClient, platform: Platform) -> None:
    job_id = failed(client, platform)
    record = platform.store.get(job_id)
    edits = ",".join(['{"at":1,"before":{},"error":null}'] * 20)
    platform.connector.client.hset(platform.store.keys.job(record.id), "edits", f"[{edits}]")
    response = client.post(f"/api/jobs/{job_id}/retry", json={"priority": 0})
    assert (response.status_code, "submit a new one" in response.text) == (409, True)
    assert client.post(f"/api/jobs/{job_id}/retry").status_code == 202


def test_what_a_filter_matches_is_told_before_it_is_retried(client: FlaskClient, platform: Platform) -> None:
    first, second = failed(client, platform), failed(client, platform, "other")
    order = {"filter": {"type": "nap", "code": "error"}, "dryRun": True}
    response = client.post("/api/jobs/retry", json=order)
    document = response.get_json()
    assert (response.status_code, document["dryRun"], document["total"]) == (200, True, 2)
    assert [job["jobId"] for job in document["sample"]] == [second, first]
    assert client.get("/api/retries").get_json() == {"retries": []}


def test_all_that_a_filter_matches_are_retried_by_the_scheduler(client: FlaskClient, platform: Platform) -> None:
    jobs = [failed(client, platform, tags=["red"]) for _ in range(3)]
    other = failed(client, platform)
    response = client.post("/api/jobs/retry", json={"filter": {"tag": "red"}})
    begun = response.get_json()
    assert (response.status_code, begun["status"], begun["total"]) == (202, "running", 3)
    assert response.headers["Location"] == f"/api/retries/{begun['retryId']}"
    platform.retrying.tick()
    told = client.get(response.headers["Location"]).get_json()
    assert (told["status"], told["retried"], told["skipped"]) == ("completed", 3, 0)
    assert told["filter"] == {"tag": "red"}
    assert ids(client.get("/api/jobs?status=queued").get_json()) == jobs[::-1]
    assert ids(client.get("/api/jobs?status=failed").get_json()) == [other]
    assert client.get("/api/retries").get_json()["retries"] == [told]


def test_many_steps_are_done_over_several_ticks(client: FlaskClient, platform: Platform) -> None:
    jobs = [failed(client, platform) for _ in range(230)]
    name = client.post("/api/jobs/retry", json={"filter": {}, "canary": 3}).get_json()["retryId"]
    platform.retrying.tick()
    told = client.get(f"/api/retries/{name}").get_json()
    assert (told["status"], told["canaryJobs"]) == ("proving", jobs[:-4:-1])
    for job_id in told["canaryJobs"]:
        complete(platform, job_id)
    platform.retrying.tick()
    assert client.get(f"/api/retries/{name}").get_json()["status"] == "running"
    platform.retrying.tick()
    told = client.get(f"/api/retries/{name}").get_json()
    assert (told["status"], told["retried"], told["total"]) == ("completed", 230, 230)


def test_an_aborted_retry_says_so(client: FlaskClient, platform: Platform) -> None:
    job_id = failed(client, platform)
    name = client.post("/api/jobs/retry", json={"filter": {}}).get_json()["retryId"]
    told = client.delete(f"/api/retries/{name}").get_json()
    assert (told["status"], told["retried"]) == ("aborted", 0)
    platform.retrying.tick()
    assert client.get(f"/api/jobs/{job_id}").get_json()["status"] == "failed"
    response = client.delete("/api/retries/retry_none")
    assert (response.status_code, response.get_json(force=True)["code"]) == (404, "retry_not_found")


@pytest.mark.parametrize(
    ("order", "pointer"),
    [
        ({}, "/filter"),
        ({"filter": {"state": "failed"}}, "/filter/state"),
        ({"filter": {"type": "nip"}}, "/filter/type"),
        ({"filter": {"from": "2030-01-01T00:00:00"}}, "/filter/from"),
        ({"filter": {"to": 1763776800}}, "/filter/to"),
        ({"filter": {}, "canary": 51}, "/canary"),
    ],
)
def test_a_wrong_order_is_told_field_by_field(client: FlaskClient, order: object, pointer: str) -> None:
    response = client.post("/api/jobs/retry", json=order)
    assert response.status_code == 422, response.text
    assert [item["pointer"] for item in response.get_json(force=True)["errors"]] == [pointer]
