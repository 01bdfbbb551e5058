"""/api/jobs/ID/deliveries: what receivers were told about a job, and telling them again."""

import json
from typing import Any

from flask.testing import FlaskClient

from tests.api.running import JOB
from tests.builders import GONE, a_claimant, a_job, completed
from tests.documents import blocks
from tests.waiting import eventually
from workplatform.bootstrap import Platform
from workplatform.scheduler import Scheduler
from workplatform.states import Event, Status
from workplatform.store.records import NewJob, Settlement

ANSWERED = {"statusCode": 503, "latency": 12, "answer": "not now", "error": "the receiver answered 503"}
SILENT = {"latency": 15000, "error": "no answer in time"}


def ended(client: FlaskClient, platform: Platform) -> tuple[str, NewJob]:
    """A job that has ended, and the delivery that tells so."""
    job_id = str(client.post("/api/jobs", json=JOB).get_json()["jobId"])
    platform.store.claim(job_id, a_claimant(), claim=job_id, message=b"{}")
    payload = {"url": "https://example.com/hook?token=t0ken#part", "headers": {"X-Key": "s3cret"}}
    spec = json.dumps({"payload": payload}).encode()
    delivery = a_job(job_type="http", queue="http")._replace(spec=spec).with_terms(about=job_id, tells="completed")
    platform.store.settle(job_id, 1, completed(callbacks=[delivery]))
    return job_id, delivery


def test_deliveries_are_shown_with_their_attempts_and_without_secrets(client: FlaskClient, platform: Platform) -> None:
    job_id, delivery = ended(client, platform)
    for number, found in enumerate((ANSWERED, SILENT), 1):
        platform.store.claim(delivery.id, a_claimant(), claim=str(number), message=b"{}")
        status, event = (Status.QUEUED, Event.QUEUED) if number == 1 else (Status.FAILED, Event.FAILED)
        ending = Settlement(status, event, "retry", wakeup=b"{}", found=json.dumps(found).encode())
        platform.store.settle(delivery.id, number, ending)

    answer = client.get(f"/api/jobs/{job_id}/deliveries")
    [shown] = answer.get_json()["deliveries"]
    assert answer.status_code == 200
    assert (shown["deliveryId"], shown["event"], shown["status"]) == (delivery.id, "completed", "failed")
    assert shown["url"] == "https://example.com/hook"
    [printed] = _printed()["deliveries"]
    assert list(printed) == list(shown)
    assert [list(attempt) for attempt in printed["attempts"]] == [list(attempt) for attempt in shown["attempts"]]
    first, second = shown["attempts"]
    assert first.pop("at") <= second.pop("at")
    assert (first, second) == (ANSWERED, {"statusCode": None, "answer": None, **SILENT})
    assert "s3cret" not in answer.text and "t0ken" not in answer.text


def _printed() -> dict[str, Any]:
    """The answer that the document shows."""
    text = next(block.text for block in blocks("docs/webhooks.md", "http") if '"deliveries"' in block.text)
    document: dict[str, Any] = json.loads(text.partition("\n\n")[2])
    return document


def test_a_delivery_is_sent_again_on_request_but_not_while_it_is_queued(
    client: FlaskClient, platform: Platform
) -> None:
    job_id, delivery = ended(client, platform)
    path = f"/api/jobs/{job_id}/deliveries/{delivery.id}/resend"
    refused = client.post(path)
    assert (refused.status_code, refused.get_json()["code"]) == (409, "conflict")
    platform.store.claim(delivery.id, a_claimant(), claim="a", message=b"{}")
    platform.store.settle(delivery.id, 1, completed())
    accepted = client.post(path)
    assert (accepted.status_code, accepted.get_json()) == (202, {"deliveryId": delivery.id, "status": "queued"})
    assert platform.store.get(delivery.id).status is Status.QUEUED


def test_an_attempt_whose_worker_died_is_shown_with_that_as_its_error(client: FlaskClient, platform: Platform) -> None:
    job_id, delivery = ended(client, platform)
    platform.store.claim(delivery.id, a_claimant(worker="w7", lease=GONE), claim="a", message=b"{}")
    scheduler = Scheduler(platform)

    def attempts() -> list[dict[str, Any]]:
        scheduler.tick()
        [shown] = client.get(f"/api/jobs/{job_id}/deliveries").get_json()["deliveries"]
        found: list[dict[str, Any]] = shown["attempts"]
        return found

    [attempt] = eventually(attempts)
    assert attempt["error"] == "worker w7 went silent in attempt 1"


def test_what_is_not_there_is_not_found(client: FlaskClient, platform: Platform) -> None:
    job_id, delivery = ended(client, platform)
    other, _ = ended(client, platform)
    assert client.get("/api/jobs/job_x/deliveries").status_code == 404
    for path in (f"{job_id}/deliveries/job_x", f"{other}/deliveries/{delivery.id}", f"{job_id}/deliveries/{other}"):
        answer = client.post(f"/api/jobs/{path}/resend")
        assert (answer.status_code, answer.get_json()["code"]) == (404, "job_not_found")
