"""Idempotency-Key and uniqueKey over HTTP: one request, one job, whatever is sent twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.running import JOB, running_both
from workplatform.bootstrap import Platform
from workplatform.retention import sweeping_rules

KEY = {"Idempotency-Key": "7f6c1c9e-0d5a"}


def send(client: FlaskClient, document: Any, **headers: str) -> TestResponse:
    return client.post("/api/jobs", json=document, headers=headers or KEY)


def jobs(platform: Platform) -> int:
    return platform.service.list().total


def test_the_same_request_gets_the_same_answer_and_one_job(client: FlaskClient, platform: Platform) -> None:
    first, again = send(client, JOB), send(client, JOB)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.get_json() == again.get_json()
    assert first.headers["Location"] == again.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert jobs(platform) == 1


def test_an_array_is_one_request_too(client: FlaskClient, platform: Platform) -> None:
    document = [JOB, {"type": "nap", "payload": {}}, JOB]
    first, again = send(client, document), send(client, document)
    assert (first.status_code, again.status_code) == (207, 207)
    assert first.get_json() == again.get_json()
    assert jobs(platform) == 2


def test_a_repeated_request_is_told_the_same_whatever_has_become_of_its_jobs(
    client: FlaskClient, platform: Platform
) -> None:
    held = client.post("/api/jobs", json={**JOB, "uniqueKey": "film-17"}).get_json()
    document = [{**JOB, "uniqueKey": "film-17"}, {**JOB, "dependsOn": [held["jobId"]]}, {**JOB, "delay": "1h"}]
    first = send(client, document).get_json()
    assert first[0] == {**held, "existing": True}
    assert [receipt["status"] for receipt in first] == ["queued", "waiting", "scheduled"]
    for receipt in first:
        client.delete(f"/api/jobs/{receipt['jobId']}")
    assert platform.store.sweep(sweeping_rules(timedelta(0), {}, ["nap"]), 100) == 3
    again = send(client, document)
    assert (again.get_json(), again.headers["Idempotent-Replayed"]) == (first, "true")
    assert jobs(platform) == 0


def test_the_same_array_as_a_batch_is_another_request(client: FlaskClient, platform: Platform) -> None:
    assert send(client, [JOB]).status_code == 202
    answer = client.post("/api/jobs?batch=true", json=[JOB], headers=KEY)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (422, "idempotency_key_reused")
    assert jobs(platform) == 1


def test_another_body_with_the_same_key_is_refused(client: FlaskClient, platform: Platform) -> None:
    send(client, JOB)
    answer = send(client, {**JOB, "priority": 0})
    assert answer.status_code == 422
    assert answer.get_json(force=True)["code"] == "idempotency_key_reused"
    assert jobs(platform) == 1


def test_a_request_that_was_refused_may_be_mended_under_its_key(client: FlaskClient) -> None:
    assert send(client, {"type": "nap"}).status_code == 422
    assert send(client, JOB).status_code == 202


@pytest.mark.parametrize("key", [" ", "x" * 256, "a\tb"])
def test_a_key_of_a_wrong_form_is_refused(client: FlaskClient, key: str) -> None:
    answer = client.post("/api/jobs", json=JOB, environ_overrides={"HTTP_IDEMPOTENCY_KEY": key})
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.get_json(force=True)["error"]


def test_of_requests_sent_at_once_one_makes_the_job(tmp_path: Path) -> None:
    with running_both(tmp_path) as api, ThreadPoolExecutor(16) as pool:
        sent = [pool.submit(requests.post, f"{api.url}/api/jobs", json=JOB, headers=KEY, timeout=20) for _ in range(48)]
        answers = [request.result() for request in sent]
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["jobId"] for answer in answers}) == 1
        assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count(None) == 1
        assert requests.get(f"{api.url}/api/jobs", timeout=10).json()["total"] == 1


def test_a_unique_key_answers_the_job_that_is_active(client: FlaskClient, platform: Platform) -> None:
    document = {**JOB, "uniqueKey": "film-17"}
    first = client.post("/api/jobs", json=document).get_json()
    second = client.post("/api/jobs", json=document)
    assert second.get_json() == {**first, "existing": True}
    assert second.headers["Location"] == f"/api/jobs/{first['jobId']}"
    assert client.get(second.headers["Location"]).get_json()["uniqueKey"] == "film-17"
    assert jobs(platform) == 1
    client.delete(second.headers["Location"])
    assert client.post("/api/jobs", json=document).get_json()["jobId"] != first["jobId"]


def test_terms_are_told_with_the_job(client: FlaskClient) -> None:
    receipt = client.post("/api/jobs", json={**JOB, "delay": "10m", "ttl": "1h", "deadline": "2h"}).get_json()
    assert receipt["status"] == "scheduled"
    job = client.get(f"/api/jobs/{receipt['jobId']}").get_json()
    assert job["waitingReason"] == "delay"
    assert job["createdAt"] < job["runAt"] < job["expiresAt"] < job["deadline"]


def test_wrong_terms_are_named(client: FlaskClient) -> None:
    answer = client.post("/api/jobs", json={**JOB, "delay": "soon", "runAt": 17})
    assert answer.status_code == 422
    assert {item["pointer"] for item in answer.get_json(force=True)["errors"]} == {"/delay", "/runAt"}
