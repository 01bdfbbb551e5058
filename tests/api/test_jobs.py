"""/api/jobs: the shapes of the specification, and every way to ask for the impossible."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api import create_app
from api.fast_lane import FastLane
from tests.api.running import JOB
from tests.builders import LEASE, a_claimant, an_announcement, completed, failed
from workplatform.bootstrap import Platform
from workplatform.store.records import Beat, Grant


@pytest.fixture(params=["Flask's route", "the fast lane"])
def submitting(request: pytest.FixtureRequest, platform: Platform) -> FlaskClient:
    """A client of the application, with and without the fast lane: they must not differ."""
    app = create_app(platform)
    if request.param == "the fast lane":
        app.wsgi_app = FastLane(app.wsgi_app, app.guard, app.submissions)  # type: ignore[method-assign]
    return app.test_client()


def problem(response: TestResponse, status: int) -> dict[str, Any]:
    """The problem document of an answer that has to be one."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = response.get_json(force=True)
    assert document["status"] == status
    assert {"type", "title", "detail", "error"} <= set(document)
    assert re.fullmatch(r"[^\n]+", document["error"])
    return document


def submitted(client: FlaskClient, **fields: object) -> str:
    """The id of a new job."""
    response = client.post("/api/jobs", json={**JOB, **fields})
    assert response.status_code == 202, response.text
    return str(response.get_json()["jobId"])


def claimed(platform: Platform, job_id: str) -> Grant:
    """Claim a job as a worker would."""
    grant = platform.store.claim(job_id, a_claimant(), claim="word", message=b"{}")
    assert isinstance(grant, Grant)
    return grant


def test_a_submission_is_accepted_with_its_address(submitting: FlaskClient) -> None:
    response = submitting.post("/api/jobs", json={**JOB, "priority": 0, "callback": "https://example.com/done"})

    assert response.status_code == 202
    receipt = response.get_json()
    assert set(receipt) == {"jobId", "status", "createdAt"}
    assert re.fullmatch(r"job_[0-9A-HJKMNP-TV-Z]{26}", receipt["jobId"])
    assert receipt["status"] == "queued"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", receipt["createdAt"])
    assert response.headers["Location"] == f"/api/jobs/{receipt['jobId']}"
    shown = submitting.get(response.headers["Location"]).get_json()
    assert (shown["status"], shown["createdAt"]) == ("queued", receipt["createdAt"])
    assert (shown["priority"], shown["callback"]) == (0, "https://example.com/done")


def test_an_array_is_answered_item_by_item(submitting: FlaskClient) -> None:
    response = submitting.post("/api/jobs", json=[JOB, {"type": "nap"}, "no job", JOB])

    assert response.status_code == 207
    first, second, third, last = response.get_json()
    assert first["status"] == last["status"] == "queued"
    assert second["status"] == third["status"] == 422
    assert second["errors"] == [{"pointer": "/1/payload", "detail": "is required"}]
    assert third["errors"][0]["pointer"] == "/2"
    listed = {job["jobId"] for job in submitting.get("/api/jobs").get_json()["jobs"]}
    assert listed == {first["jobId"], last["jobId"]}


def test_an_array_of_good_jobs_is_accepted_as_a_whole(submitting: FlaskClient) -> None:
    response = submitting.post("/api/jobs", json=[JOB] * 500)

    assert response.status_code == 202
    assert len({item["jobId"] for item in response.get_json()}) == 500
    assert submitting.get("/api/jobs").get_json()["total"] == 500


def test_arrays_are_bounded(submitting: FlaskClient) -> None:
    assert "500 jobs" in problem(submitting.post("/api/jobs", json=[JOB] * 501), 413)["error"]
    assert problem(submitting.post("/api/jobs", json=[]), 422)["errors"][0]["pointer"] == ""
    assert submitting.get("/api/jobs").get_json()["total"] == 0


def test_what_is_wrong_with_a_submission_is_named_field_by_field(submitting: FlaskClient) -> None:
    wrong = {"type": "nap", "priority": 9, "payload": {"paht": "x", "seconds": "long"}}
    document = problem(submitting.post("/api/jobs", json=wrong), 422)

    pointers = {item["pointer"]: item["detail"] for item in document["errors"]}
    assert set(pointers) == {"/priority", "/payload/path", "/payload/paht", "/payload/seconds"}
    assert pointers["/payload/paht"] == "unknown field; check its spelling"
    assert "noop" in problem(submitting.post("/api/jobs", json={"type": "nope", "payload": {}}), 422)["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"type": NaN}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_refused(submitting: FlaskClient, body: bytes) -> None:
    assert problem(submitting.post("/api/jobs", data=body, content_type="application/json"), 400)["code"] == "bad_json"


@pytest.mark.parametrize("body", [b"null", b"3", b'"job"', b"{}"])
def test_json_that_is_no_job_is_refused(submitting: FlaskClient, body: bytes) -> None:
    problem(submitting.post("/api/jobs", data=body, content_type="application/json"), 422)


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_only_json_is_taken_since_a_form_of_any_page_can_send_the_rest(
    submitting: FlaskClient, media_type: str | None
) -> None:
    problem(submitting.post("/api/jobs", data=b'{"type":"nap"}', content_type=media_type), 415)


def test_a_media_type_may_have_parameters(submitting: FlaskClient) -> None:
    response = submitting.post(
        "/api/jobs", data=b'{"type":"noop","payload":{}}', content_type="Application/JSON; charset=utf-8"
    )
    assert response.status_code == 202


def test_a_body_may_not_be_larger_than_the_limit(submitting: FlaskClient, platform: Platform) -> None:
    body = b" " * (platform.settings.max_body_bytes + 1)
    problem(submitting.post("/api/jobs", data=body, content_type="application/json"), 413)


def test_an_unknown_job_is_not_found(client: FlaskClient) -> None:
    unknown = "/api/jobs/job_00000000000000000000000000"
    assert problem(client.get(unknown), 404)["code"] == "job_not_found"
    problem(client.delete(unknown), 404)
    problem(client.post(f"{unknown}/retry"), 404)
    problem(client.get(f"{unknown}/logs"), 404)


def test_a_job_shows_how_it_went(client: FlaskClient, platform: Platform) -> None:
    job_id = submitted(client, maxRetries=5, tags=["nightly"])
    waiting = client.get(f"/api/jobs/{job_id}").get_json()
    assert (waiting["waitingReason"], waiting["maxRetries"], waiting["tags"]) == ("no_worker", 5, ["nightly"])

    fence = claimed(platform, job_id).fence
    platform.store.beat(a_claimant().lease, [Beat(job_id, fence, True, 40, "napping", "well", ["zzz"])])
    running = client.get(f"/api/jobs/{job_id}").get_json()
    assert (running["status"], running["progress"], running["stage"]) == ("running", 40, "napping")

    platform.store.settle(job_id, fence, completed(result=b'{"success":true,"size":7}'))
    done = client.get(f"/api/jobs/{job_id}").get_json()
    assert (done["status"], done["progress"], done["result"]) == ("completed", 100, {"success": True, "size": 7})
    assert done["error"] is None
    assert isinstance(done["duration"], int)


def test_cancelling_twice_says_the_same_twice(client: FlaskClient) -> None:
    job_id = submitted(client)
    for _ in range(2):
        response = client.delete(f"/api/jobs/{job_id}")
        assert (response.status_code, response.get_json()) == (200, {"jobId": job_id, "status": "cancelled"})


def test_a_job_that_has_ended_cannot_be_cancelled(client: FlaskClient, platform: Platform) -> None:
    job_id = submitted(client)
    platform.store.settle(job_id, claimed(platform, job_id).fence, completed())
    assert "completed" in problem(client.delete(f"/api/jobs/{job_id}"), 409)["error"]


def test_a_failed_job_can_be_retried_and_a_queued_one_not(client: FlaskClient, platform: Platform) -> None:
    job_id = submitted(client)
    problem(client.post(f"/api/jobs/{job_id}/retry"), 409)

    platform.store.settle(job_id, claimed(platform, job_id).fence, failed())
    assert client.get(f"/api/jobs/{job_id}").get_json()["error"] == "no"
    response = client.post(f"/api/jobs/{job_id}/retry")
    assert (response.status_code, response.get_json()) == (202, {"jobId": job_id, "status": "queued"})


def test_pages_follow_each_other_to_the_oldest_job(client: FlaskClient) -> None:
    all_ids = {submitted(client) for _ in range(7)}
    seen: list[str] = []
    cursor = ""
    while True:
        page = client.get("/api/jobs", query_string={"limit": 3, **({"cursor": cursor} if cursor else {})}).get_json()
        assert page["total"] == 7
        seen += [job["jobId"] for job in page["jobs"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == sorted(all_ids, reverse=True)


def test_a_listing_counts_what_it_filters(client: FlaskClient, platform: Platform) -> None:
    naps = [submitted(client) for _ in range(3)]
    submitted(client, type="noop", payload={})
    claimed(platform, naps[0])

    page = client.get("/api/jobs?status=queued&type=nap").get_json()
    assert {job["jobId"] for job in page["jobs"]} == set(naps[1:])
    assert (page["total"], page["queued"], page["running"]) == (2, 2, 1)
    assert {"completed", "failed", "cancelled", "scheduled", "waiting"} <= set(page)
    assert client.get("/api/jobs").get_json()["total"] == 4


@pytest.mark.parametrize(
    "query",
    ["status=done", "type=nope", "limit=0", "limit=201", "limit=-1", "limit=x", "limit=2.5", "limit=٣", "cursor=x"],
)
def test_a_wrong_parameter_is_named(client: FlaskClient, query: str) -> None:
    name = query.partition("=")[0]
    document = problem(client.get(f"/api/jobs?{query}"), 400)
    assert document["errors"][0]["parameter"] == name
    assert document["error"].startswith(f"{name}: ")


def test_a_log_is_read_line_after_line(client: FlaskClient, platform: Platform) -> None:
    job_id = submitted(client)
    assert client.get(f"/api/jobs/{job_id}/logs").get_json() == {"lines": [], "next": "0"}

    beat = Beat(job_id, claimed(platform, job_id).fence, lines=["one", "two", "three"])
    platform.store.beat(a_claimant().lease, [beat])
    first = client.get(f"/api/jobs/{job_id}/logs?limit=2").get_json()
    assert [line["text"] for line in first["lines"]] == ["one", "two"]
    assert first["next"] == first["lines"][-1]["n"]
    rest = client.get(f"/api/jobs/{job_id}/logs?after={first['next']}").get_json()
    assert [line["text"] for line in rest["lines"]] == ["three"]
    assert client.get(f"/api/jobs/{job_id}/logs?after={rest['next']}").get_json()["next"] == rest["next"]


@pytest.mark.parametrize(
    "after", ["x", "٣", "1-٣", "1" * 16, "9" * 20, "1-" + "9" * 20, "+1", " 1", "1_0", "1-", "-1", "1\n"]
)
def test_a_log_is_not_read_after_what_is_no_line(client: FlaskClient, after: str) -> None:
    job_id = submitted(client)
    document = problem(client.get(f"/api/jobs/{job_id}/logs", query_string={"after": after}), 400)
    assert document["errors"][0]["parameter"] == "after"


@pytest.mark.parametrize("after", ["0", "0-0", "9" * 15, f"{'9' * 15}-{'9' * 15}"])
def test_a_log_is_read_after_any_line_there_could_be(client: FlaskClient, after: str) -> None:
    job_id = submitted(client)
    document = client.get(f"/api/jobs/{job_id}/logs", query_string={"after": after}).get_json()
    assert document == {"lines": [], "next": after}


def test_what_is_not_there_is_a_problem_too(client: FlaskClient) -> None:
    problem(client.get("/nowhere"), 404)
    response = client.put("/api/jobs")
    problem(response, 405)
    assert "POST" in response.headers["Allow"]


def test_stats_count_by_status_and_type(client: FlaskClient) -> None:
    submitted(client)
    stats = client.get("/api/stats").get_json()
    assert (stats["total"], stats["jobs"]["queued"], stats["types"]) == (1, 1, {"nap": {"queued": 1}})
    assert stats["queues"]["nap"] == {
        "types": ["nap"],
        "served": False,
        "paused": False,
        "draining": False,
        "waiting": 1,
        "running": 0,
        "empty": False,
    }


def test_readiness_names_what_is_missing(client: FlaskClient, platform: Platform) -> None:
    document = problem(client.get("/readyz"), 503)
    assert document["checks"]["redis"] == "ok"
    assert "nap" in document["checks"]["workers"]

    for queue in platform.registry.queues:
        platform.store.workers.announce(queue, an_announcement(queue), lifetime=LEASE)
    assert client.get("/readyz").get_json() == {"status": "ready", "checks": {"redis": "ok", "workers": "ok"}}


def test_what_nobody_foresaw_is_answered_without_its_details(client: FlaskClient, platform: Platform) -> None:
    job_id = submitted(client)
    platform.connector.client.hset(platform.store.keys.job(job_id), "spec", "{secret")
    document = problem(client.get(f"/api/jobs/{job_id}"), 500)
    assert "secret" not in str(document)
    assert document["code"] == "internal"


def test_the_page_for_people_loads_with_a_strict_policy(client: FlaskClient) -> None:
    page = client.get("/")
    assert page.content_type == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for link in ("/dashboard.js", "/dashboard.css"):
        assert link in page.text
        assert client.get(link).status_code == 200
    filled = re.findall(r'(?:getElementById|fill)\("(\w+)"', client.get("/dashboard.js").text)
    assert len(filled) >= 6
    assert {name for name in filled if f'id="{name}"' not in page.text} == set()
