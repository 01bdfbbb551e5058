"""Batches over HTTP: jobs submitted together, and what may be asked of them afterwards."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.running import JOB
from workplatform.bootstrap import Platform


def sent(client: FlaskClient, document: Any, query: str = "", **headers: str) -> Any:
    return client.post(f"/api/jobs{query}", json=document, headers=headers)


def shown(client: FlaskClient, batch: str) -> dict[str, Any]:
    answer = client.get(f"/api/batches/{batch}")
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def counted(client: FlaskClient, batch: str) -> dict[str, int]:
    return {status: number for status, number in shown(client, batch)["counts"].items() if number}


def test_jobs_sent_together_are_a_batch(client: FlaskClient) -> None:
    answer = sent(client, {"jobs": [JOB, JOB], "callback": "https://example.com/done", "tags": ["a"]})
    document = answer.get_json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/batches/{document['batchId']}"
    assert [receipt["status"] for receipt in document["jobs"]] == ["queued", "queued"]
    batch = shown(client, document["batchId"])
    assert (batch["batchId"], batch["status"], batch["total"], batch["progress"]) == (
        document["batchId"],
        "running",
        2,
        0,
    )
    assert (batch["callback"], batch["tags"]) == ("https://example.com/done", ["a"])
    job = client.get(f"/api/jobs/{document['jobs'][0]['jobId']}").get_json()
    assert (job["batchId"], job["flowId"]) == (document["batchId"], None)


def test_an_array_is_a_batch_only_if_that_is_asked_for(client: FlaskClient) -> None:
    assert isinstance(sent(client, [JOB]).get_json(), list)
    assert counted(client, sent(client, [JOB], "?batch=true").get_json()["batchId"]) == {"queued": 1}


def test_a_batch_may_be_named_and_grow(client: FlaskClient) -> None:
    sent(client, {"jobs": [JOB], "batchId": "import-7"})
    sent(client, {**JOB, "batchId": "import-7"})
    sent(client, [{**JOB, "batchId": "import-7"}])
    assert counted(client, "import-7") == {"queued": 3}


def test_wrong_jobs_are_answered_by_themselves(client: FlaskClient) -> None:
    answer = sent(client, {"jobs": [JOB, {"type": "nope", "payload": {}}, {**JOB, "batchId": "x"}, 7]})
    assert answer.status_code == 207
    pointers = [receipt["errors"][0]["pointer"] for receipt in answer.get_json()["jobs"][1:]]
    assert pointers == ["/jobs/1/type", "/jobs/2/batchId", "/jobs/3"]
    assert counted(client, answer.get_json()["batchId"]) == {"queued": 1}


def test_a_batch_of_which_no_job_can_be_taken_is_not_made(client: FlaskClient) -> None:
    answer = sent(client, {"jobs": [{"type": "nope", "payload": {}}, 7], "batchId": "b"})
    assert (answer.status_code, answer.get_json()["batchId"]) == (207, None)
    assert "Location" not in answer.headers
    assert client.get("/api/batches/b").status_code == 404


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"jobs": []}, "/jobs"),
        ({"jobs": "x"}, "/jobs"),
        ({"jobs": [JOB], "batchId": "a b"}, "/batchId"),
        ({"jobs": [JOB], "callback": "nope"}, "/callback/url"),
        ({"jobs": [JOB], "colour": 1}, "/colour"),
        ({**JOB, "batchId": ""}, "/batchId"),
    ],
)
def test_a_wrong_batch_creates_nothing(
    client: FlaskClient, platform: Platform, document: dict[str, Any], pointer: str
) -> None:
    answer = sent(client, document)
    assert answer.status_code == 422
    assert answer.get_json(force=True)["errors"][0]["pointer"] == pointer
    assert platform.service.list().total == 0


def test_a_repeated_request_names_the_same_batch(client: FlaskClient) -> None:
    first = sent(client, {"jobs": [JOB]}, **{"Idempotency-Key": "k"})
    again = sent(client, {"jobs": [JOB]}, **{"Idempotency-Key": "k"})
    assert first.get_json() == again.get_json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert counted(client, first.get_json()["batchId"]) == {"queued": 1}


def test_the_rest_is_cancelled_and_retried(client: FlaskClient) -> None:
    batch = sent(client, {"jobs": [JOB] * 3}).get_json()
    client.delete(f"/api/jobs/{batch['jobs'][0]['jobId']}")
    answer = client.post(f"/api/batches/{batch['batchId']}/cancel")
    assert (answer.status_code, answer.get_json()["status"]) == (202, "cancelled")
    refused = client.post(f"/api/batches/{batch['batchId']}/cancel")
    assert (refused.status_code, refused.get_json(force=True)["detail"][:27]) == (409, "the batch has already ended")
    answer = client.post(f"/api/batches/{batch['batchId']}/retry")
    assert (answer.status_code, answer.get_json()["counts"]["queued"]) == (202, 3)
    assert client.post(f"/api/batches/{batch['batchId']}/retry").status_code == 409


@pytest.mark.parametrize("path", ["", "/cancel", "/retry", "/jobs?status=failed"])
def test_an_unknown_batch_is_not_found(client: FlaskClient, path: str) -> None:
    answer = client.open(f"/api/batches/nope{path}", method="POST" if path in ("/cancel", "/retry") else "GET")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (404, "group_not_found")


def test_batches_are_listed_in_pages_the_newest_first(client: FlaskClient) -> None:
    names = ["z", "a", "k"]
    for name in names:
        sent(client, {"jobs": [JOB], "batchId": name})
    sent(client, {**JOB, "batchId": "z"})
    page = client.get("/api/batches?limit=2").get_json()
    assert [batch["batchId"] for batch in page["batches"]] == ["k", "a"]
    rest = client.get(f"/api/batches?limit=2&cursor={page['nextCursor']}").get_json()
    assert ([batch["total"] for batch in rest["batches"]], rest["nextCursor"]) == ([2], None)


def test_the_jobs_of_a_batch_are_listed_by_status(client: FlaskClient) -> None:
    batch = sent(client, {"jobs": [JOB] * 4}).get_json()
    ids = [receipt["jobId"] for receipt in batch["jobs"]]
    for job_id in ids[:3]:
        client.delete(f"/api/jobs/{job_id}")
    address = f"/api/batches/{batch['batchId']}/jobs"
    first = client.get(f"{address}?status=cancelled&limit=2").get_json()
    rest = client.get(f"{address}?status=cancelled&cursor={first['nextCursor']}").get_json()
    assert [job["jobId"] for page in (first, rest) for job in page["jobs"]] == ids[2::-1]
    assert [job["jobId"] for job in client.get(f"{address}?status=queued").get_json()["jobs"]] == ids[3:]
    assert client.get(f"{address}?status=failed").get_json() == {"jobs": [], "nextCursor": None}


@pytest.mark.parametrize(
    ("path", "parameter"),
    [("?cursor=x", "cursor"), ("?limit=101", "limit"), ("/b/jobs", "status"), ("/b/jobs?status=lost", "status")],
)
def test_what_cannot_be_listed_is_told_by_parameter(client: FlaskClient, path: str, parameter: str) -> None:
    answer = client.get(f"/api/batches{path}")
    assert (answer.status_code, answer.get_json(force=True)["errors"][0]["parameter"]) == (400, parameter)
