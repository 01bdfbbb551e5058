"""/api/flows and dependsOn, seen from outside."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from tests.api.reading import Reader
from tests.api.running import JOB, Running
from tests.waiting import eventually
from workplatform.bootstrap import Platform

STEPS = {
    "first": {"type": "nap", "payload": {"path": "a"}},
    "second": {"type": "nap", "payload": {"path": "b", "text": "attempt ${first.result.attempt}"}},
    "third": {"type": "nap", "payload": {"path": "c"}, "dependsOn": ["second"], "onParentFailure": "skip"},
}
FLOW = {"name": "film 17", "steps": STEPS, "tags": ["films"], "callback": "https://example.com/done"}


def made(client: FlaskClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/api/flows", json={**FLOW, **fields})
    assert answer.status_code == 202, answer.text
    return dict(answer.get_json())


def shown(client: FlaskClient, flow: dict[str, Any]) -> dict[str, Any]:
    return dict(client.get(f"/api/flows/{flow['flowId']}").get_json())


def steps(document: dict[str, Any]) -> dict[str, str]:
    return {name: step["status"] for name, step in document["steps"].items()}


def test_a_flow_shows_its_graph_and_how_it_stands(client: FlaskClient) -> None:
    answer = client.post("/api/flows", json=FLOW)
    flow = answer.get_json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/api/flows/{flow['flowId']}")
    assert flow == shown(client, flow)
    assert {name: flow[name] for name in ("name", "status", "progress", "total", "tags", "callback", "result")} == {
        "name": "film 17",
        "status": "running",
        "progress": 0,
        "total": 3,
        "tags": ["films"],
        "callback": "https://example.com/done",
        "result": {},
    }
    assert steps(flow) == {"first": "queued", "second": "waiting", "third": "waiting"}
    assert flow["edges"] == [{"from": "first", "to": "second"}, {"from": "second", "to": "third"}]
    assert (flow["counts"]["queued"], flow["counts"]["waiting"]) == (1, 2)
    assert flow["steps"]["third"]["onParentFailure"] == "skip"


def test_a_step_is_a_job_that_says_which_flow_it_is_of(client: FlaskClient) -> None:
    flow = made(client)
    job = client.get(f"/api/jobs/{flow['steps']['second']['jobId']}").get_json()
    assert (job["flowId"], job["step"], job["batchId"]) == (flow["flowId"], "second", None)
    assert (job["status"], job["waitingReason"]) == ("waiting", "dependencies")
    assert job["dependsOn"] == [flow["steps"]["first"]["jobId"]]
    assert job["payload"]["text"] == "attempt ${first.result.attempt}"
    plain = client.get(f"/api/jobs/{client.post('/api/jobs', json=JOB).get_json()['jobId']}").get_json()
    assert (plain["flowId"], plain["step"], plain["dependsOn"], plain["onParentFailure"]) == (None, None, [], None)


def test_a_wrong_flow_creates_nothing_and_names_every_wrong_field(client: FlaskClient, platform: Platform) -> None:
    wrong = {**STEPS, "second": {"type": "nap", "payload": {"path": 1, "text": "${frist.result.attempt}"}}}
    answer = client.post("/api/flows", json={"steps": wrong})
    assert answer.status_code == 422
    pointers = {problem["pointer"] for problem in answer.get_json(force=True)["errors"]}
    assert pointers == {"/steps/second/payload/path", "/steps/second/payload/text"}
    assert platform.service.list().total == 0


def test_flows_are_listed_in_pages(client: FlaskClient) -> None:
    flows = [made(client)["flowId"] for _ in range(3)]
    page = client.get("/api/flows?limit=2").get_json()
    assert [flow["flowId"] for flow in page["flows"]] == flows[:0:-1]
    assert "steps" not in page["flows"][0]
    rest = client.get(f"/api/flows?limit=2&cursor={page['nextCursor']}").get_json()
    assert ([flow["flowId"] for flow in rest["flows"]], rest["nextCursor"]) == ([flows[0]], None)
    assert client.get("/api/flows?cursor=x").status_code == 400
    assert client.get("/api/flows?limit=0").status_code == 400


def test_cancelling_ends_what_has_not_ended_and_retrying_begins_it_again(client: FlaskClient) -> None:
    flow = made(client)
    cancelled = client.post(f"/api/flows/{flow['flowId']}/cancel")
    assert (cancelled.status_code, cancelled.get_json()["status"]) == (200, "cancelled")
    assert set(steps(cancelled.get_json()).values()) == {"cancelled"}
    assert client.post(f"/api/flows/{flow['flowId']}/cancel").status_code == 409
    retried = client.post(f"/api/flows/{flow['flowId']}/retry")
    assert (retried.status_code, retried.get_json()["status"]) == (202, "running")
    assert steps(retried.get_json()) == {"first": "queued", "second": "waiting", "third": "waiting"}
    assert client.post(f"/api/flows/{flow['flowId']}/retry").status_code == 409


@pytest.mark.parametrize("path", ["", "/cancel", "/retry"])
def test_an_unknown_flow_is_not_found(client: FlaskClient, path: str) -> None:
    answer = client.open(f"/api/flows/flow_x{path}", method="POST" if path else "GET")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (404, "group_not_found")


def test_a_repeated_request_makes_one_flow(client: FlaskClient, platform: Platform) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = client.post("/api/flows", json=FLOW, headers=key)
    again = client.post("/api/flows", json=FLOW, headers=key)
    assert first.get_json() == again.get_json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert platform.service.list().total == 3
    client.post(f"/api/flows/{first.get_json()['flowId']}/cancel")
    assert client.post("/api/flows", json=FLOW, headers=key).get_json() == first.get_json(), "whatever became of it"
    other = client.post("/api/flows", json={**FLOW, "name": "other"}, headers=key)
    assert (other.status_code, other.get_json(force=True)["code"]) == (422, "idempotency_key_reused")
    assert client.post("/api/jobs", json=JOB, headers=key).status_code == 422


def test_a_unique_key_that_is_taken_refuses_the_whole_flow(client: FlaskClient, platform: Platform) -> None:
    held = client.post("/api/jobs", json={**JOB, "uniqueKey": "u"}).get_json()["jobId"]
    answer = client.post("/api/flows", json={"steps": {**STEPS, "last": {**JOB, "uniqueKey": "u"}}})
    assert answer.status_code == 409
    assert f"step last: job {held}" in answer.get_json(force=True)["detail"]
    assert platform.service.list().total == 1


def test_a_job_may_depend_on_jobs_by_their_ids(client: FlaskClient) -> None:
    parent = client.post("/api/jobs", json=JOB).get_json()["jobId"]
    child = client.post("/api/jobs", json={**JOB, "dependsOn": [parent], "onParentFailure": "continue"}).get_json()
    assert child["status"] == "waiting"
    document = client.get(f"/api/jobs/{child['jobId']}").get_json()
    assert (document["dependsOn"], document["onParentFailure"]) == ([parent], "continue")
    client.delete(f"/api/jobs/{parent}")
    assert client.get(f"/api/jobs/{child['jobId']}").get_json()["status"] == "queued"


def test_parents_that_are_not_there_are_named(client: FlaskClient, platform: Platform) -> None:
    ghost = "job_01JZ8M3N5K7Q9R2T4V6X8Y0ZAB"
    answer = client.post("/api/jobs", json={**JOB, "dependsOn": [ghost]})
    assert (answer.status_code, answer.get_json(force=True)["errors"][0]["pointer"]) == (422, "/dependsOn/0")
    several = client.post("/api/jobs", json=[JOB, {**JOB, "dependsOn": [ghost]}])
    assert (several.status_code, several.get_json()[1]["errors"][0]["pointer"]) == (207, "/1/dependsOn/0")
    assert client.post("/api/jobs", json={**JOB, "dependsOn": ["nope"]}).status_code == 422
    assert client.post("/api/jobs", json={**JOB, "dependsOn": [ghost] * 51}).status_code == 422
    assert platform.service.list().total == 1


def test_the_events_of_a_flow_are_those_of_its_jobs(api: Running, listen: Callable[..., Reader]) -> None:
    flow = requests.post(f"{api.url}/api/flows", json=FLOW, timeout=10).json()
    ids = {step["jobId"] for step in flow["steps"].values()}
    reader = listen(api.url, flow=flow["flowId"])
    eventually(lambda: len(reader.named("job:snapshot")) == len(ids))
    other = api.submit()
    requests.post(f"{api.url}/api/flows/{flow['flowId']}/cancel", timeout=10)
    eventually(lambda: len(reader.named("job:cancelled")) == len(ids))
    assert {event.data["jobId"] for event in reader.events} == ids
    assert not reader.told(other)
    assert requests.get(f"{api.url}/api/events", params={"flow": "flow_x"}, timeout=10).status_code == 404
