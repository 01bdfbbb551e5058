"""Callbacks as jobs: which are made of what was submitted, and that none keeps a job from ending."""

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from workers.http import HttpPayload
from workplatform.callbacks import Callbacks
from workplatform.celery_app import Wakeups
from workplatform.errors import InvalidSubmissionError
from workplatform.groups import Batch
from workplatform.hooks import ENDINGS, Hook
from workplatform.registry import discover
from workplatform.states import Status
from workplatform.store.records import Grant
from workplatform.submission import Submitter, checked

URL = "https://example.com/hook"
BODY = {"timestamp": "2026-11-22T02:31:27.112Z"}


@pytest.fixture
def callbacks() -> Callbacks:
    """The callbacks of a platform that signs nothing."""
    submitter = Submitter(discover(["workers"]), Wakeups())
    return Callbacks(submitter, signs=False)


def a_grant(**spec: Any) -> Grant:
    """An attempt of a job that was submitted like this."""
    return Grant("job_1", "nap", 2, 1, 1, 0, {"payload": {}, **spec}, 0)


def test_the_end_of_a_batch_with_the_longest_name_is_told(callbacks: Callbacks) -> None:
    group = f"batch:{'b' * 100}"
    [delivery] = callbacks.for_group(group, {"callback": URL}, status=Status.COMPLETED, body=BODY)
    assert orjson.loads(delivery.spec)["payload"]["about"] == group


def test_a_hook_that_was_taken_in_by_other_rules_keeps_no_job_from_ending(callbacks: Callbacks) -> None:
    job = a_grant(callback={"url": "gopher://example.com", "colour": "red"}, onFailure=URL)
    [refund] = callbacks.for_ending(job, status=Status.FAILED)
    assert orjson.loads(refund.spec)["payload"]["url"] == URL
    assert not callbacks.wants(job, "started")


@pytest.mark.parametrize("headers", [{"Host": "x"}, {"X A": "b"}, {"X-A": "b\r\nX-B: c"}, {"X-A": "☃"}])
def test_a_hook_takes_no_headers_that_its_deliveries_could_not_send(headers: dict[str, str]) -> None:
    for model in (Hook, HttpPayload):
        with pytest.raises(ValidationError, match="headers"):
            model.model_validate({"url": URL, "headers": headers})


@pytest.mark.parametrize(
    ("hook", "says"),
    [
        (7, "must be a URL, or an object"),
        ({"url": URL, "events": ["started", "progress"]}, "let events name one of completed"),
    ],
)
def test_a_hook_that_a_batch_could_never_call_is_refused(hook: object, says: str) -> None:
    with pytest.raises(InvalidSubmissionError, match=says) as refusal:
        checked(Batch, {"jobs": [{}], "callback": hook}, "")
    assert [problem["pointer"] for problem in refusal.value.problems] == ["/callback"]


def test_every_hook_that_is_taken_in_makes_its_delivery(callbacks: Callbacks) -> None:
    hook = {"url": f"{URL}?{'q' * 1900}", "headers": {f"X-{number}": "é" * 1000 for number in range(50)}}
    for ending in ENDINGS:
        assert len(callbacks.for_ending(a_grant(callback=hook | {"events": ENDINGS}), status=Status(ending))) == 1
