"""Named keys, limits, full and draining queues, seen from outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from api import create_app
from tests.api.running import JOB, settings_in
from tests.builders import a_claimant, a_message
from workplatform.bootstrap import Platform, build
from workplatform.store.records import Grant, Refusal

KEYS = {"shop": "a-key-that-is-long-enough", "blog": "another-key-that-is-long"}


@pytest.fixture
def keyed_platform(platform: Platform, platform_folder: Path) -> Iterator[Platform]:
    """A platform with three keys, a limit and a bound, on the server that the tests share."""
    del platform  # it has emptied the store
    more = {"API_KEY": "the operator's", "API_KEYS": ", ".join(f"{name}:{key}" for name, key in KEYS.items())}
    more |= {"JOB_PACKAGES": "workers,tests.jobs", "LIMIT_NAP": "1", "QUEUE_DEPTH_MAX": "3"}
    built = build(settings_in(platform_folder, **more))
    built.limits.publish()
    yield built
    built.close()


@pytest.fixture
def keyed(keyed_platform: Platform) -> FlaskClient:
    """A client of it."""
    return create_app(keyed_platform).test_client()


def of(name: str) -> dict[str, str]:
    return {"X-API-Key": KEYS.get(name, "the operator's")}


def submitted(client: FlaskClient, name: str, **fields: object) -> str:
    answer = client.post("/api/jobs", json={**JOB, **fields}, headers=of(name))
    assert answer.status_code == 202, answer.get_data()
    return str(answer.get_json()["jobId"])


def claimed(platform: Platform, job_id: str) -> Grant | Refusal:
    return platform.store.claim(job_id, a_claimant(), claim=job_id, message=a_message(job_id))


def test_a_job_keeps_the_name_of_the_key_that_submitted_it(keyed: FlaskClient) -> None:
    for name in ("shop", "blog", "default"):
        job = keyed.get(f"/api/jobs/{submitted(keyed, name)}", headers=of("blog")).get_json()
        assert job["apiKey"] == name


def test_the_jobs_of_flows_and_batches_are_of_the_key_that_submitted_them(
    keyed: FlaskClient, keyed_platform: Platform
) -> None:
    hook = "http://127.0.0.1:9/"
    keyed.post("/api/flows", json={"steps": {"one": JOB}, "callback": hook}, headers=of("shop"))
    keyed.post("/api/jobs", json={"jobs": [JOB], "callback": hook}, headers=of("shop"))
    records = keyed_platform.store.page().records
    assert [record.by for record in records] == ["shop", "shop"]
    keyed_platform.service.purge("nap")
    keyed_platform.group_work.tick()
    deliveries = keyed_platform.store.page(job_type="http").records
    assert [record.by for record in deliveries] == ["shop", "shop"]


def test_a_wrong_key_is_refused_and_no_key_is_shown(keyed: FlaskClient) -> None:
    for key in ("", "wrong", KEYS["shop"] + " ", KEYS["shop"][:-1]):
        answer = keyed.get("/api/jobs", headers={"X-API-Key": key})
        assert answer.status_code == 401
        assert not any(word in answer.get_data(as_text=True) for word in KEYS.values())


def test_an_idempotency_key_counts_for_one_api_key(keyed: FlaskClient) -> None:
    ids = {
        keyed.post("/api/jobs", json=JOB, headers={**of(name), "Idempotency-Key": "once"}).get_json()["jobId"]
        for name in ("shop", "shop", "blog")
    }
    assert len(ids) == 2


def test_a_schedule_keeps_the_key_that_made_it(keyed: FlaskClient, keyed_platform: Platform) -> None:
    schedule = {"name": "often", "every": "1h", "job": JOB}
    assert keyed.post("/api/schedules", json=schedule, headers=of("shop")).get_json()["apiKey"] == "shop"
    changed = keyed.put("/api/schedules/often", json={**schedule, "every": "2h"}, headers=of("blog"))
    assert changed.get_json()["apiKey"] == "shop"
    fired = keyed.post("/api/schedules/often/run", headers=of("blog")).get_json()["jobId"]
    assert keyed_platform.store.get(fired).by == "shop"


def test_the_callback_of_a_job_takes_its_turn_among_those_of_its_key(keyed: FlaskClient) -> None:
    job_id = submitted(keyed, "shop", callback="http://127.0.0.1:9/")
    keyed.delete(f"/api/jobs/{job_id}", headers=of("shop"))
    [delivery] = keyed.get("/api/jobs?type=http", headers=of("shop")).get_json()["jobs"]
    assert delivery["apiKey"] == "shop"


def test_what_settings_and_calls_say_of_limits_is_shown(keyed: FlaskClient, keyed_platform: Platform) -> None:
    running, parked = submitted(keyed, "shop"), submitted(keyed, "blog")
    assert isinstance(claimed(keyed_platform, running), Grant)
    assert claimed(keyed_platform, parked) == Refusal("limit")
    [limit] = keyed.get("/api/limits", headers=of("default")).get_json()["limits"]
    expected = {"kind": "type", "name": "nap", "apiKey": None, "concurrency": 1, "rate": None, "burst": None}
    assert limit == {**expected, "source": "settings", "running": 1, "waiting": 1}
    job = keyed.get(f"/api/jobs/{parked}", headers=of("blog")).get_json()
    assert (job["status"], job["waitingReason"], job["attempts"]) == ("waiting", "concurrency_limit", 0)
    raised = keyed.put("/api/limits/types/nap", json={"concurrency": 2, "rate": "100/m"}, headers=of("default"))
    assert (raised.get_json()["source"], raised.get_json()["waiting"]) == ("api", 0)
    assert isinstance(claimed(keyed_platform, parked), Grant)
    again = keyed.delete("/api/limits/types/nap", headers=of("default")).get_json()
    assert (again["source"], again["concurrency"], again["running"]) == ("settings", 1, 2)


def test_a_concurrency_key_that_jobs_wait_for_is_listed(keyed: FlaskClient, keyed_platform: Platform) -> None:
    keyed.put("/api/limits/types/nap", json={}, headers=of("default"))
    ids = [submitted(keyed, "shop", concurrencyKey="film:17") for _ in range(2)]
    assert [isinstance(claimed(keyed_platform, job_id), Grant) for job_id in ids] == [True, False]
    job = keyed.get(f"/api/jobs/{ids[0]}", headers=of("shop")).get_json()
    assert (job["concurrencyKey"], job["concurrencyLimit"]) == ("film:17", 1)
    limits = keyed.get("/api/limits", headers=of("shop")).get_json()["limits"]
    [limit] = [limit for limit in limits if limit["kind"] == "concurrencyKey"]
    assert (limit["name"], limit["apiKey"], limit["waiting"]) == ("film:17", "shop", 1)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"concurrency": 0}, "/concurrency"),
        ({"concurrency": "4"}, "/concurrency"),
        ({"rate": "10"}, "/rate"),
        ({"rate": "0/s"}, "/rate"),
        ({"rate": "10/week"}, "/rate"),
        ({"burst": 2}, ""),
        ({"most": 2}, "/most"),
        ([], ""),
    ],
)
def test_a_wrong_limit_is_told_field_by_field(keyed: FlaskClient, body: object, pointer: str) -> None:
    answer = keyed.put("/api/limits/keys/shop", json=body, headers=of("default"))
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.get_json(force=True)["errors"]] == [pointer]


@pytest.mark.parametrize("path", ["types/naps", "keys/nobody", "queues/nap"])
def test_an_unknown_thing_to_limit_is_named_with_those_that_exist(keyed: FlaskClient, path: str) -> None:
    answer = keyed.put(f"/api/limits/{path}", json={"concurrency": 1}, headers=of("default"))
    assert answer.status_code == 404
    assert "there are" in answer.get_json(force=True)["error"]


def test_the_limit_of_a_key_that_is_gone_can_be_taken_back(keyed: FlaskClient, keyed_platform: Platform) -> None:
    keyed_platform.store.limits.put("key:gone", {"concurrency": 1, "rule": "1 - -"})
    taken = keyed.delete("/api/limits/keys/gone", headers=of("default"))
    assert (taken.status_code, taken.get_json()["source"]) == (200, None)
    assert keyed.get("/api/limits/keys/gone", headers=of("default")).status_code == 404


@pytest.mark.parametrize("wrong", [{"concurrencyLimit": 2}, {"concurrencyKey": ""}, {"concurrencyKey": "a\nb"}])
def test_a_wrong_concurrency_key_is_refused(client: FlaskClient, wrong: dict[str, object]) -> None:
    assert client.post("/api/jobs", json={**JOB, **wrong}).status_code == 422


def test_a_full_queue_refuses_whole_requests_and_says_when_to_come_again(keyed: FlaskClient) -> None:
    submitted(keyed, "shop")
    submitted(keyed, "shop", delay="1h")
    bulk = keyed.post("/api/jobs", json=[JOB, JOB], headers=of("blog"))
    problem = bulk.get_json(force=True)
    assert (bulk.status_code, problem["code"], bulk.headers["Retry-After"]) == (429, "queue_full", "5")
    assert "2 jobs wait in queue nap; with these it would be more than the 3 that may" in problem["error"]
    assert keyed.get("/api/jobs", headers=of("shop")).get_json()["total"] == 2
    headers = {**of("shop"), "Idempotency-Key": "later"}
    assert keyed.post("/api/jobs", json=[JOB, JOB], headers=headers).status_code == 429
    submitted(keyed, "shop")
    assert keyed.post("/api/jobs", json=JOB, headers=headers).status_code == 429
    job_id = keyed.get("/api/jobs?status=queued", headers=of("shop")).get_json()["jobs"][0]["jobId"]
    keyed.delete(f"/api/jobs/{job_id}", headers=of("shop"))
    assert keyed.post("/api/jobs", json=JOB, headers=headers).status_code == 202, "a refusal is not remembered"
    assert keyed.post(f"/api/jobs/{job_id}/retry", headers=of("shop")).status_code == 202, "retries are never refused"


def test_callbacks_are_taken_in_however_full_their_queue_is(keyed: FlaskClient, keyed_platform: Platform) -> None:
    keyed_platform.store.queues.drain("http")
    job_id = submitted(keyed, "shop", callback="http://127.0.0.1:9/")
    keyed.delete(f"/api/jobs/{job_id}", headers=of("shop"))
    assert keyed.get("/api/jobs?type=http", headers=of("shop")).get_json()["total"] == 1


def test_submissions_are_refused_while_memory_runs_short(client: FlaskClient, platform: Platform) -> None:
    platform.store.limits.refuse_submissions(60_000)
    answer = client.post("/api/jobs", json=JOB)
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"], answer.headers["Retry-After"]) == (429, "memory_short", "10")
    platform.store.limits.refuse_submissions(0)
    assert client.post("/api/jobs", json=JOB).status_code == 202


def test_a_draining_queue_takes_nothing_in_and_tells_when_it_is_empty(client: FlaskClient, platform: Platform) -> None:
    job_id = str(client.post("/api/jobs", json=JOB).get_json()["jobId"])
    client.post("/api/schedules", json={"name": "s", "every": "1h", "job": JOB})
    assert client.post("/api/queues/nap/drain").get_json() == {"queue": "nap", "draining": True}
    for path, body in (("/api/jobs", JOB), ("/api/jobs", [JOB]), ("/api/schedules/s/run", None)):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (409, "queue_draining")
    assert "Retry-After" not in answer.headers

    def stands() -> tuple[object, ...]:
        queue = client.get("/api/queues").get_json()["queues"]["nap"]
        return tuple(queue[word] for word in ("draining", "paused", "waiting", "running", "empty"))

    assert stands() == (True, False, 1, 0, False)
    assert isinstance(claimed(platform, job_id), Grant)
    assert stands() == (True, False, 0, 1, False)
    client.delete(f"/api/jobs/{job_id}")
    assert stands() == (True, False, 0, 0, True)
    assert client.post("/api/queues/nap/resume").get_json() == {"queue": "nap", "paused": False, "draining": False}
    assert client.post("/api/jobs", json=JOB).status_code == 202
