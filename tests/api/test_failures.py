"""The search among failed jobs, and /api/errors."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.running import JOB
from tests.builders import a_claimant
from workplatform.bootstrap import Platform
from workplatform.fingerprints import fingerprint, kept_error
from workplatform.states import Event, Status
from workplatform.store.records import Settlement


def failed(client: FlaskClient, platform: Platform, message: str = "no frame 1", **fields: Any) -> str:
    """The id of a job that was submitted and has failed."""
    job_id = str(client.post("/api/jobs", json={**JOB, **fields}).get_json()["jobId"])
    platform.store.claim(job_id, a_claimant(), claim=job_id, message=b"{}")
    kept = kept_error("nap", {"code": "error", "message": message, "retryable": True}, fields)
    platform.store.settle(job_id, 1, Settlement(Status.FAILED, Event.FAILED, "attempt", message, error=kept))
    return job_id


def ids(document: dict[str, Any]) -> list[str]:
    return [job["jobId"] for job in document["jobs"]]


def test_failed_jobs_are_searched(client: FlaskClient, platform: Platform) -> None:
    first, second = failed(client, platform, tags=["red"]), failed(client, platform, "no frame 2")
    other = failed(client, platform, "something else")
    alike = fingerprint("nap", "error", "no frame 3")

    page = client.get(f"/api/jobs?status=failed&fingerprint={alike}&limit=1").get_json()
    assert (ids(page), page["total"], page["failed"]) == ([second], 2, 3)
    assert page["jobs"][0]["errorFingerprint"] == alike
    rest = client.get(f"/api/jobs?status=failed&fingerprint={alike}&limit=1&cursor={page['nextCursor']}").get_json()
    assert (ids(rest), rest["nextCursor"]) == ([first], None)

    assert ids(client.get("/api/jobs?status=failed&code=error&type=nap").get_json()) == [other, second, first]
    assert ids(client.get("/api/jobs?status=failed&tag=red").get_json()) == [first]
    at = page["jobs"][0]["finishedAt"]
    assert second in ids(client.get(f"/api/jobs?status=failed&from={at}&to={at}").get_json())
    assert ids(client.get("/api/jobs?status=failed&from=2100-01-01T00:00:00Z").get_json()) == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("code=error", "status"),
        ("status=completed&tag=a", "status"),
        ("status=failed&code=error&type=unknown", "type"),
        ("status=failed&from=yesterday", "from"),
        ("status=failed&to=2030-01-01T00:00:00", "to"),
        ("status=failed&code=a&cursor=job_01M80HG638H0VGAP3MT4ERDPAM", "cursor"),
        ("status=failed&code=a&cursor=x.job_01M80HG638H0VGAP3MT4ERDPAM", "cursor"),
        ("status=failed&code=a&cursor=17", "cursor"),
        ("status=failed&code=a&limit=0", "limit"),
    ],
)
def test_what_cannot_be_searched_for_is_told_by_parameter(client: FlaskClient, query: str, parameter: str) -> None:
    response = client.get(f"/api/jobs?{query}")
    assert response.status_code == 400
    assert response.get_json(force=True)["errors"][0]["parameter"] == parameter


def test_errors_are_listed_and_shown_with_their_jobs(client: FlaskClient, platform: Platform) -> None:
    first, second = failed(client, platform), failed(client, platform, "no frame 2")
    other = failed(client, platform, "something else")

    page = client.get("/api/errors?sort=count&limit=1").get_json()
    [group] = page["errors"]
    assert (group["type"], group["code"], group["count"], group["failed"]) == ("nap", "error", 2, 2)
    assert (group["message"], group["jobIds"]) == ("no frame 2", [second, first])
    assert group["firstSeen"] <= group["lastSeen"]
    rest = client.get(f"/api/errors?sort=count&limit=1&cursor={page['nextCursor']}").get_json()
    assert ([error["jobIds"] for error in rest["errors"]], rest["nextCursor"]) == ([[other]], None)
    assert len(client.get("/api/errors?type=nap").get_json()["errors"]) == 2

    shown = client.get(f"/api/errors/{group['fingerprint']}?limit=1").get_json()
    assert (shown["count"], ids(shown)) == (2, [second])
    more = client.get(f"/api/errors/{group['fingerprint']}?limit=1&cursor={shown['nextCursor']}").get_json()
    assert (ids(more), more["nextCursor"]) == ([first], None)


@pytest.mark.parametrize(
    "path", ["/api/errors?sort=message", "/api/errors?type=x", "/api/errors?cursor=1", "/api/errors?limit=x"]
)
def test_what_cannot_be_listed_is_refused(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 400


def test_an_unknown_fingerprint_is_not_found(client: FlaskClient) -> None:
    response = client.get("/api/errors/0123456789ab")
    assert (response.status_code, response.get_json(force=True)["code"]) == (404, "error_not_found")
