"""Callbacks end to end: chosen by event, signed by the worker, checked by the official verifier, shown and repeated."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.integration.fleet import Fleet, running_fleet
from tests.receiver import Behaviour, Receiver, Request, answering, receiving
from tests.test_signing import NEW, OLD, OTHER
from tests.waiting import eventually

SHOP = "shop"
HEADER = "s3cret-of-the-shop"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet that signs by two secrets, with a folder of named ones."""
    folder = tmp_path_factory.mktemp("callbacks")
    (folder / "secrets" / "webhooks").mkdir(parents=True)
    own = {"WEBHOOK_SECRET": f"{NEW} {OLD}", "SECRETS_DIR": str(folder / "secrets")}
    with running_fleet(folder, **own) as fleet:
        queues = ("noop", "nap", "flaky", "http")
        for queue in queues:
            fleet.start("worker", queue)
        fleet.start("scheduler")
        for queue in queues:
            fleet.wait_served(queue)
        yield fleet


def set_secret(fleet: Fleet, text: str) -> None:
    """Set the named secret, as an operator does who rotates it."""
    path = fleet.folder / "secrets" / "webhooks" / SHOP
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def told(receiver: Receiver) -> list[str]:
    """The paths that were called, and with which status."""
    return sorted(f"{request.line.split()[1]} {json.loads(request.body)['status']}" for request in receiver.requests)


def deliveries(fleet: Fleet, job_id: str) -> list[dict[str, Any]]:
    return fleet.platform.deliveries.about(job_id)


def moment(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def one_after_the_other(*behaviours: Behaviour) -> Behaviour:
    """Behave differently from request to request, the last way for ever."""
    left = list(behaviours)
    turn = threading.Lock()

    def behave(receiver: Receiver, connection: Any) -> None:
        with turn:
            behaviour = left.pop(0) if len(left) > 1 else left[0]
        behaviour(receiver, connection)

    return behave


def test_each_attempt_is_signed_anew_bears_one_id_and_one_body_and_is_shown(fleet: Fleet) -> None:
    behave = one_after_the_other(answering("503 Busy", b"not now"), answering("201 Created", b"ok"))
    with receiving(behave) as receiver:
        job = fleet.wait(fleet.submit("noop", {}, callback=f"{receiver.url}/done?token=t0ken"))
        eventually(lambda: deliveries(fleet, job["jobId"])[0]["status"] == "completed", within_s=40)
    first, second = receiver.requests
    for request in receiver.requests:
        for secret in (OLD, NEW):
            document = Webhook(secret).verify(request.body, request.headers)
        assert (document["jobId"], document["status"], document["attempt"]) == (job["jobId"], "completed", 1)
        assert (
            moment(job["startedAt"])
            <= moment(document["timestamp"])
            <= moment(job["finishedAt"]) + timedelta(seconds=1)
        )
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(first.headers["webhook-timestamp"]) < int(second.headers["webhook-timestamp"])
    [delivery] = deliveries(fleet, job["jobId"])
    assert delivery["deliveryId"] == first.headers["webhook-id"]
    assert (delivery["event"], delivery["url"]) == ("completed", f"{receiver.url}/done")
    assert [attempt["statusCode"] for attempt in delivery["attempts"]] == [503, 201]
    assert [attempt["answer"] for attempt in delivery["attempts"]] == ["not now", "ok"]
    assert "503" in delivery["attempts"][0]["error"] and delivery["attempts"][1]["error"] is None
    for attempt, request in zip(delivery["attempts"], receiver.requests, strict=True):
        assert abs(moment(attempt["at"]).timestamp() - int(request.headers["webhook-timestamp"])) < 30


def test_a_job_that_is_retried_and_ends_again_is_told_again_with_its_attempt(fleet: Fleet) -> None:
    with receiving(answering()) as receiver:
        job_id = fleet.submit("flaky", {"path": "", "text": "2"}, callback=receiver.url, onFailure=receiver.url)
        fleet.wait(job_id)
        failing = fleet.submit("broken", {"path": "", "text": "bad input"}, callback=receiver.url)
        fleet.wait(failing)
        fleet.platform.retrying.one(failing, {})
        eventually(lambda: len(receiver.requests) == 3)
    bodies = [json.loads(request.body) for request in receiver.requests]
    assert [body["attempt"] for body in bodies if body["jobId"] == job_id] == [2]
    ends = [moment(body["timestamp"]) for body in bodies if body["jobId"] == failing]
    assert ends[0] < ends[1]
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 3


def test_a_job_that_says_what_is_no_text_ends_and_is_told_of_like_any_other(fleet: Fleet) -> None:
    with receiving(answering()) as receiver:
        job = fleet.wait(fleet.submit("broken", {"path": "", "text": "no text"}, callback=receiver.url))
        eventually(lambda: receiver.requests)
    [line] = fleet.platform.service.logs(job["jobId"])
    assert (job["error"], job["stage"], job["message"]) == ("caf? cannot be read", "caf?", "caf? cannot be read")
    assert (line.text, json.loads(receiver.requests[0].body)["error"]) == ("caf?", job["error"])


def test_hooks_hear_of_the_endings_they_chose(fleet: Fleet) -> None:
    set_secret(fleet, OTHER)
    with receiving(answering()) as receiver:
        good = {"url": f"{receiver.url}/good", "events": ["completed"], "headers": {"X-Key": HEADER}}
        hooks = {"callback": good | {"secretName": SHOP}, "onFailure": f"{receiver.url}/refund"}
        done = fleet.wait(fleet.submit("noop", {}, **hooks))
        failed = fleet.wait(fleet.submit("broken", {"path": "", "text": "bad input"}, **hooks))
        eventually(lambda: told(receiver) == ["/good completed", "/refund failed"])
        assert done["callback"]["headers"] == {"X-Key": "***"}
        [request] = (request for request in receiver.requests if "/good" in request.line)
        assert request.headers["x-key"] == HEADER
        Webhook(OTHER).verify(request.body, request.headers)
        assert [each["event"] for each in deliveries(fleet, failed["jobId"])] == ["failed"]


def accepted_by(request: Request, secret: str) -> bool:
    try:
        return bool(Webhook(secret).verify(request.body, request.headers))
    except WebhookVerificationError:
        return False


def test_while_a_secret_is_rotated_no_receiver_misses_a_callback_and_no_secret_is_told(fleet: Fleet) -> None:
    with receiving(answering("200 OK", b"thanks")) as receiver:
        hook = {"url": receiver.url, "secretName": SHOP, "headers": {"Authorization": f"Bearer {HEADER}"}}
        set_secret(fleet, OLD)
        job_id = fleet.submit("noop", {}, callback=hook)
        fleet.wait(job_id)
        for number, text in enumerate((f"{NEW}\n{OLD}\n", NEW), 1):
            eventually(lambda: deliveries(fleet, job_id)[0]["status"] == "completed")
            assert len(receiver.requests) == number
            set_secret(fleet, text)
            [delivery] = deliveries(fleet, job_id)
            fleet.platform.deliveries.resend(job_id, delivery["deliveryId"])
        eventually(lambda: len(receiver.requests) == 3)
        eventually(lambda: deliveries(fleet, job_id)[0]["status"] == "completed")
    accepted = [[accepted_by(request, secret) for secret in (OLD, NEW, OTHER)] for request in receiver.requests]
    assert accepted == [[True, False, False], [True, True, False], [False, True, False]]
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len({request.body for request in receiver.requests}) == 1

    [delivery] = deliveries(fleet, job_id)
    assert len(delivery["attempts"]) == 3
    logs = fleet.platform.service.logs(delivery["deliveryId"])
    shown = [delivery, fleet.job(job_id), fleet.job(delivery["deliveryId"]), [line.text for line in logs]]
    everything = json.dumps(shown) + (fleet.folder / "roles.log").read_text()
    assert job_id in everything
    for secret in (OLD, NEW, OTHER):
        assert secret.removeprefix("whsec_").rstrip("=") not in everything
    assert HEADER not in everything


def test_starts_and_progress_are_told_while_the_job_runs_and_never_after_its_end(fleet: Fleet) -> None:
    events = ["started", "progress", "completed"]
    with receiving(answering()) as receiver:
        hook = {"url": receiver.url, "events": events, "format": "standard"}
        payload = {"path": str(fleet.folder / "nap.txt"), "text": "x", "seconds": 3.2}
        job = fleet.wait(fleet.submit("nap", payload, callback=hook))
        eventually(lambda: b"job.completed" in b"".join(request.body for request in receiver.requests))
        everything = deliveries(fleet, job["jobId"])
        eventually(
            lambda: all(each["status"] in ("completed", "cancelled") for each in deliveries(fleet, job["jobId"]))
        )
    bodies = sorted(
        (json.loads(request.body) for request in receiver.requests), key=lambda body: str(body["timestamp"])
    )
    assert [body["type"] for body in bodies] == ["job.started", *["job.progress"] * (len(bodies) - 2), "job.completed"]
    assert all(
        body["data"]["jobId"] == job["jobId"] and body["timestamp"] == body["data"]["timestamp"] for body in bodies
    )
    progress = [body["data"] for body in bodies if body["type"] == "job.progress"]
    assert progress, "three seconds are enough for some"
    assert all(after["progress"] > before["progress"] for before, after in pairwise(progress))
    assert all(
        (each["status"], each["stage"]) == ("running", "napping") and "s left" in each["message"] for each in progress
    )
    assert len(progress) <= job["duration"] / 1000 + 1, "at most one a second"
    assert {each["event"] for each in everything} == set(events)


def test_a_hook_that_asked_for_endings_hears_of_nothing_else(fleet: Fleet) -> None:
    with receiving(answering()) as receiver:
        payload = {"path": str(fleet.folder / "nap.txt"), "text": "x", "seconds": 1.5}
        job = fleet.wait(fleet.submit("nap", payload, callback=receiver.url))
        eventually(lambda: receiver.requests)
        assert [each["event"] for each in deliveries(fleet, job["jobId"])] == ["completed"]


def test_a_burst_of_callbacks_for_a_slow_receiver_arrives_without_using_up_retries(fleet: Fleet) -> None:
    most, under_way, lock, number = 0, 0, threading.Lock(), 240
    good = answering()

    def slowly(receiver: Receiver, connection: Any) -> None:
        nonlocal most, under_way
        with lock:
            under_way += 1
            most = max(most, under_way)
        receiver.closing.wait(0.03)
        with lock:
            under_way -= 1  # before the answer, which frees the sender's place
        good(receiver, connection)

    with ExitStack() as stack:
        receiver = stack.enter_context(receiving(slowly))
        service = fleet.platform.service
        jobs = [service.prepare({"type": "noop", "payload": {}, "callback": receiver.url}) for _ in range(number)]
        service.create(jobs)
        eventually(lambda: len(receiver.requests) >= number, within_s=90)
        eventually(lambda: all(deliveries(fleet, job.id)[0]["status"] == "completed" for job in jobs), within_s=90)
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == len(receiver.requests) == number
    assert most <= 8
    for job in jobs:
        [delivery] = deliveries(fleet, job.id)
        shown = fleet.job(delivery["deliveryId"])
        assert (shown["attempts"], shown["retries"], len(delivery["attempts"])) == (1, 0, 1)


@pytest.mark.parametrize(
    ("hook", "pointer"),
    [
        ({"url": "ftp://x"}, "/callback/url"),
        ({"url": "https://example.com", "events": []}, "/callback/events"),
        ({"url": "https://example.com", "events": ["finished"]}, "/callback/events/0"),
        ({"url": "https://example.com", "format": "xml"}, "/callback/format"),
        ({"url": "https://example.com", "secretName": "../a"}, "/callback/secretName"),
        ({"url": "https://example.com", "headers": {"Host": "other.example"}}, "/callback/headers"),
    ],
)
def test_a_wrong_hook_is_named(fleet: Fleet, hook: dict[str, object], pointer: str) -> None:
    with pytest.raises(Exception, match="callback") as refusal:
        fleet.submit("noop", {}, callback=hook)
    assert pointer in str(getattr(refusal.value, "problems", ""))
