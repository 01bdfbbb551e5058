"""Callbacks end to end: signed by the worker, checked by the official verifier, chosen by ending."""

import json
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.integration.fleet import Fleet, running_fleet
from tests.receiver import Receiver, answering, receiving
from tests.test_signing import NEW, OLD, OTHER
from tests.waiting import eventually


def told(receiver: Receiver) -> list[str]:
    """The paths that were called, and with which status."""
    return sorted(f"{request.line.split()[1]} {json.loads(request.body)['status']}" for request in receiver.requests)


def test_each_attempt_of_a_delivery_is_signed_and_bears_one_id(tmp_path: Path) -> None:
    with running_fleet(tmp_path, WEBHOOK_SECRET=f"{NEW} {OLD}") as fleet, receiving(answering("503 Busy")) as receiver:
        fleet.worker("noop")
        fleet.worker("http")
        fleet.start("scheduler")
        job = fleet.wait(fleet.submit("noop", {}, callback=receiver.url))
        eventually(lambda: len(receiver.requests) == 2, within_s=40)
    for request in receiver.requests:
        for secret in (OLD, NEW):
            document = Webhook(secret).verify(request.body, request.headers)
            assert (document["jobId"], document["status"], document["attempt"]) == (job["jobId"], "completed", 1)
            assert document["timestamp"].endswith("Z")
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


def test_hooks_hear_of_the_endings_they_chose(tmp_path: Path) -> None:
    (tmp_path / "secrets" / "webhooks").mkdir(parents=True)
    (tmp_path / "secrets" / "webhooks" / "shop").write_text(OTHER)
    with running_fleet(tmp_path, SECRETS_DIR=str(tmp_path / "secrets")) as fleet, receiving(answering()) as receiver:
        fleet.worker("noop")
        fleet.worker("flaky")
        fleet.worker("http")
        good = {"url": f"{receiver.url}/good", "events": ["completed"], "headers": {"X-Key": "s3cret"}}
        hooks = {"callback": good | {"secretName": "shop"}, "onFailure": f"{receiver.url}/refund"}
        done = fleet.wait(fleet.submit("noop", {}, **hooks))
        fleet.wait(fleet.submit("broken", {"path": "", "text": "bad input"}, **hooks))
        eventually(lambda: told(receiver) == ["/good completed", "/refund failed"])
        assert done["callback"]["headers"] == {"X-Key": "***"}
        (request,) = (request for request in receiver.requests if "/good" in request.line)
        assert request.headers["x-key"] == "s3cret"
        Webhook(OTHER).verify(request.body, request.headers)


@pytest.mark.parametrize(
    ("hook", "pointer"),
    [
        ({"url": "ftp://x"}, "/callback/url"),
        ({"url": "https://example.com", "events": []}, "/callback/events"),
        ({"url": "https://example.com", "secretName": "../a"}, "/callback/secretName"),
    ],
)
def test_a_wrong_hook_is_named(fleet: Fleet, hook: dict[str, object], pointer: str) -> None:
    with pytest.raises(Exception, match="callback") as refusal:
        fleet.submit("noop", {}, callback=hook)
    assert pointer in str(getattr(refusal.value, "problems", ""))
