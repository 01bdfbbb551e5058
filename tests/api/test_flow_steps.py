"""Single steps of a flow, changed and retried, seen from outside."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from workplatform.bootstrap import Platform

STEPS = {
    "first": {"type": "nap", "payload": {"path": "a"}},
    "second": {"type": "nap", "payload": {"path": "b", "seconds": "${first.result.attempt}"}},
}


@pytest.fixture
def step(client: FlaskClient) -> str:
    """The id of a step that refers to a number and was cancelled."""
    flow = client.post("/api/flows", json={"steps": STEPS}).get_json()
    job_id = str(flow["steps"]["second"]["jobId"])
    assert client.delete(f"/api/jobs/{job_id}").status_code == 200
    return job_id


def test_a_step_keeps_its_references_when_it_is_changed(client: FlaskClient, platform: Platform, step: str) -> None:
    changes = {"maxRetries": 1, "payload": {"text": "attempt ${first.result.attempt}"}}
    answer = client.post(f"/api/jobs/{step}/retry", json=changes)
    assert (answer.status_code, answer.get_json()["status"]) == (202, "waiting")
    job = client.get(f"/api/jobs/{step}").get_json()
    assert (job["step"], job["maxRetries"]) == ("second", 1)
    assert job["payload"] == {**STEPS["second"]["payload"], **changes["payload"]}  # type: ignore[dict-item]
    assert platform.store.get(step).spec["references"].keys() == {"first"}


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({"seconds": "${third.result.attempt}"}, "/payload/seconds"),
        ({"text": "${first.result"}, "/payload/text"),
        ({"pth": "c"}, "/payload/pth"),
        ({"seconds": "long"}, "/payload/seconds"),
    ],
)
def test_a_change_that_cannot_fit_is_refused(
    client: FlaskClient, step: str, payload: dict[str, Any], pointer: str
) -> None:
    answer = client.post(f"/api/jobs/{step}/retry", json={"payload": payload})
    assert answer.status_code == 422
    assert [problem["pointer"] for problem in answer.get_json(force=True)["errors"]] == [pointer]
    assert client.get(f"/api/jobs/{step}").get_json()["status"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"steps": {"a": {"type": "nap", "payload": {}}, "a": {"type": "nap", "payload": {"path": "b"}}}}', "a"),
        ('{"steps": {"a": {"type": "nap", "payload": {"path": "a", "path": "b"}}}}', "path"),
    ],
)
def test_a_name_that_comes_twice_is_refused_before_the_first_one_is_lost(
    client: FlaskClient, platform: Platform, body: str, name: str
) -> None:
    answer = client.post("/api/flows", data=body, content_type="application/json")
    assert (answer.status_code, f"'{name}' comes twice" in answer.get_json(force=True)["error"]) == (422, True)
    assert platform.service.list().total == 0


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 1000 + "]" * 1000])
def test_what_is_hard_to_read_is_no_mistake_of_the_platform(client: FlaskClient, value: str) -> None:
    body = f'{{"steps": {{"a": {{"type": "nap", "payload": {{"path": "a", "seconds": {value}}}}}}}}}'
    assert client.post("/api/flows", data=body, content_type="application/json").status_code in (400, 422)
