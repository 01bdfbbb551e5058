"""/api/schedules: what may be asked of schedules, seen from outside."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api import create_app
from tests.api.running import JOB, settings_in
from tests.waiting import eventually
from workplatform import embedded
from workplatform.bootstrap import Platform, build

NIGHTLY = {"name": "nightly", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "job": JOB}


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[tuple[Platform, FlaskClient]]:
    """A platform with every job type, and a client of it."""
    settings = settings_in(tmp_path, JOB_PACKAGES="workers,tests.jobs")
    with embedded.running(settings):
        platform = build(settings)
        yield platform, create_app(platform).test_client()
        platform.close()


def made(client: FlaskClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/api/schedules", json={**NIGHTLY, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.get_json())


def shown(client: FlaskClient, name: str = "nightly") -> dict[str, Any]:
    return dict(client.get(f"/api/schedules/{name}").get_json())


def refused(client: FlaskClient, **fields: Any) -> dict[str, str]:
    answer = client.post("/api/schedules", json={**NIGHTLY, **fields})
    assert answer.status_code == 422, answer.text
    return {problem["pointer"]: problem["detail"] for problem in answer.get_json(force=True)["errors"]}


def test_a_schedule_tells_what_it_was_told_and_when_it_fires(client: FlaskClient) -> None:
    answer = client.post("/api/schedules", json=NIGHTLY)
    assert (answer.status_code, answer.headers["Location"]) == (201, "/api/schedules/nightly")
    document = answer.get_json()
    assert document == shown(client)
    assert {name: document[name] for name in NIGHTLY} == NIGHTLY
    assert (document["overlap"], document["catchUp"], document["paused"]) == ("allow", "latest", False)
    assert (document["every"], document["jitter"], document["lastFire"]) == (None, None, None)
    assert (document["fires"], document["history"]) == (0, [])
    fires = document["nextFires"]
    assert len(fires) == 5 and fires == sorted(set(fires)) and fires[0] == document["nextFire"]
    assert {fire[11:16] for fire in fires} <= {"00:30", "01:30"}, "02:30 in Berlin"
    [listed] = client.get("/api/schedules").get_json()["schedules"]
    assert listed == {name: value for name, value in document.items() if name not in ("nextFires", "history")}


def test_a_name_is_taken_once(client: FlaskClient) -> None:
    made(client)
    again = client.post("/api/schedules", json=NIGHTLY | {"cron": "@daily"})
    assert again.status_code == 409
    assert "nightly" in again.get_json(force=True)["error"]
    assert shown(client)["cron"] == NIGHTLY["cron"]


def test_putting_makes_a_schedule_and_changes_it(client: FlaskClient) -> None:
    body = {"every": "15m", "job": JOB}
    first = client.put("/api/schedules/often", json=body)
    assert (first.status_code, first.headers["Location"]) == (201, "/api/schedules/often")
    assert (first.get_json()["name"], first.get_json()["every"]) == ("often", 900_000)
    client.post("/api/schedules/often/run")
    second = client.put("/api/schedules/often", json={**body, "every": "1h", "overlap": "skip"})
    changed = second.get_json()
    assert (second.status_code, changed["every"], changed["overlap"]) == (200, 3_600_000, "skip")
    assert (changed["fires"], len(changed["history"]), changed["createdAt"]) == (1, 1, first.get_json()["createdAt"])
    other = client.put("/api/schedules/often", json={**body, "name": "seldom"})
    assert other.status_code == 422


def test_a_moment_that_has_come_and_is_not_fired_yet_survives_a_change_of_the_job(
    client: FlaskClient, platform: Platform
) -> None:
    made(client, cron=None, every="1s", catchUp="all")
    eventually(lambda: platform.store.schedules.due(1)[1])
    due = shown(client)["nextFire"]
    body = {"every": "1s", "timezone": "Europe/Berlin", "catchUp": "all", "job": {**JOB, "tags": ["new"]}}
    assert client.put("/api/schedules/nightly", json=body).get_json()["nextFire"] == due
    platform.firing.tick()
    first = shown(client)["history"][-1]
    assert (first["dueAt"], first["outcome"]) == (due, "created")
    assert "new" in client.get(f"/api/jobs/{first['jobId']}").get_json()["tags"]
    assert client.put("/api/schedules/nightly", json={**body, "every": "1h"}).get_json()["nextFire"] > due


def test_what_is_shown_can_be_put_back(client: FlaskClient) -> None:
    document = made(client, job={**JOB, "callback": "https://example.com/hook", "delay": "1s"}, jitter="5m")
    told = ("name", "cron", "every", "timezone", "job", "overlap", "catchUp", "jitter", "paused")
    again = client.put("/api/schedules/nightly", json={name: document[name] for name in told})
    assert again.get_json() == document


def test_every_wrong_field_is_named_those_of_the_job_too(client: FlaskClient) -> None:
    found = refused(
        client,
        cron="61 2 * * *",
        timezone="Europe/Berlyn",
        overlap="maybe",
        catchup="all",
        job={"type": "nap", "payload": {"pth": "x"}, "priority": 9},
    )
    assert set(found) == {
        "/cron",
        "/timezone",
        "/overlap",
        "/catchup",
        "/job/priority",
        "/job/payload/path",
        "/job/payload/pth",
    }
    assert found["/cron"].startswith("Bad minute")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"name": "a b"}, "/name"),
        ({"name": ".."}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"cron": None}, ""),
        ({"every": "1h"}, ""),
        ({"cron": None, "every": "999ms"}, "/every"),
        ({"jitter": "25h"}, "/jitter"),
        ({"job": {"type": "nothing", "payload": {}}}, "/job/type"),
        ({"job": {**JOB, "runAt": "2030-01-01T00:00:00Z"}}, "/job/runAt"),
        ({"job": {**JOB, "expiresAt": "2030-01-01T00:00:00Z"}}, "/job/expiresAt"),
        ({"job": {**JOB, "deadline": "2030-01-01T00:00:00Z"}}, "/job/deadline"),
        ({"job": {**JOB, "ttl": "5m"}, "jitter": "10m"}, "/job"),
        ({"job": [JOB]}, "/job"),
    ],
)
def test_what_cannot_be_a_schedule_is_refused(client: FlaskClient, fields: dict[str, Any], pointer: str) -> None:
    assert list(refused(client, **fields)) == [pointer]
    assert client.get("/api/schedules").get_json() == {"schedules": []}


@pytest.mark.parametrize("body", ["nonsense", "[]", '"text"', "null"])
def test_what_is_no_document_is_refused(client: FlaskClient, body: str) -> None:
    for method, address in (("POST", "/api/schedules"), ("PUT", "/api/schedules/nightly")):
        answer = client.open(address, method=method, data=body, content_type="application/json")
        assert answer.status_code in (400, 422)


def test_a_paused_schedule_has_no_next_fire_until_it_is_resumed(client: FlaskClient) -> None:
    before = made(client)
    paused = client.post("/api/schedules/nightly/pause").get_json()
    assert (paused["paused"], paused["nextFire"], paused["nextFires"]) == (True, None, [])
    assert client.post("/api/schedules/nightly/pause").get_json() == paused
    assert client.post("/api/schedules/nightly/resume").get_json() == before


def test_running_now_makes_the_job_and_leaves_the_moments(client: FlaskClient) -> None:
    before = made(client, job={**JOB, "tags": ["mine"]})
    answer = client.post("/api/schedules/nightly/run")
    job_id = answer.get_json()["jobId"]
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/api/jobs/{job_id}")
    job = client.get(f"/api/jobs/{job_id}").get_json()
    assert (job["status"], job["payload"], job["tags"]) == ("queued", JOB["payload"], ["mine", "schedule:nightly"])
    after = shown(client)
    assert (after["nextFires"], after["fires"], after["lastFire"]["jobId"]) == (before["nextFires"], 1, job_id)
    [fire] = after["history"]
    assert (fire["outcome"], fire["jobId"], fire["dueAt"]) == ("created", job_id, fire["at"])


def test_running_now_does_not_overlap_where_that_is_not_wanted(client: FlaskClient) -> None:
    made(client, overlap="skip")
    first = client.post("/api/schedules/nightly/run").get_json()["jobId"]
    second = client.post("/api/schedules/nightly/run")
    assert second.status_code == 409
    assert first in second.get_json(force=True)["error"]
    client.delete(f"/api/jobs/{first}")
    assert client.post("/api/schedules/nightly/run").status_code == 202


def test_running_now_replaces_where_that_is_wanted(whole: tuple[Platform, FlaskClient]) -> None:
    client = whole[1]
    hook = {"url": "https://example.com/hook", "events": ["cancelled"]}
    made(client, overlap="replace", job={**JOB, "callback": hook})
    first, second = (client.post("/api/schedules/nightly/run").get_json()["jobId"] for _ in range(2))
    replaced = client.get(f"/api/jobs/{first}").get_json()
    assert (replaced["status"], replaced["message"]) == ("cancelled", f"replaced by {second}")
    [told] = client.get("/api/jobs?type=http").get_json()["jobs"]
    assert told["payload"]["about"] == first


def test_a_removed_schedule_is_gone_and_its_jobs_are_not(client: FlaskClient, platform: Platform) -> None:
    made(client)
    job_id = client.post("/api/schedules/nightly/run").get_json()["jobId"]
    answer = client.delete("/api/schedules/nightly")
    assert (answer.status_code, answer.data) == (204, b"")
    assert client.get("/api/schedules").get_json() == {"schedules": []}
    assert client.get(f"/api/jobs/{job_id}").status_code == 200
    assert not [key for key in platform.connector.client.scan_iter() if b"nightly" in key]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/run")]
)
def test_a_schedule_that_is_not_there_is_not_found(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(f"/api/schedules/nothing{path}", method=method)
    assert answer.status_code == 404
    assert answer.get_json(force=True)["code"] == "schedule_not_found"


def test_secrets_of_the_job_are_shown_masked_and_sent_as_they_are(whole: tuple[Platform, FlaskClient]) -> None:
    platform, client = whole
    payload = {"url": "https://example.com/x", "headers": {"Authorization": "Bearer secret"}}
    hook = {"url": "https://example.com/hook", "headers": {"X-Token": "secret"}}
    document = made(client, job={"type": "http", "payload": payload, "callback": hook})
    assert "secret" not in str(document) and "secret" not in client.get("/api/schedules").text
    job_id = client.post("/api/schedules/nightly/run").get_json()["jobId"]
    spec = platform.store.get(job_id).spec
    assert (spec["payload"], spec["callback"]) == (payload, hook)


def test_a_schedule_fires_by_itself(client: FlaskClient, platform: Platform) -> None:
    made(client, cron=None, every="1s")

    def fired() -> dict[str, Any]:
        platform.firing.tick()
        return dict(shown(client)["lastFire"] or {})

    job = client.get(f"/api/jobs/{eventually(fired)['jobId']}").get_json()
    assert job["tags"] == ["schedule:nightly"]
