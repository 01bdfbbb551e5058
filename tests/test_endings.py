"""How an attempt's ending decides the next state: the table of the whole platform."""

import json
import os

import pytest

from workplatform.endings import Next, after_failure, after_success
from workplatform.errors import (
    BadInputError,
    Cancelled,
    Discard,
    EncoderError,
    RetryLater,
    ShuttingDown,
    WorkerLostError,
)
from workplatform.lateness import TimeLimitError
from workplatform.retry import RetryPolicy
from workplatform.states import TRANSITIONS, Event, Status
from workplatform.turns import NotYet

POLICY = RetryPolicy(max_retries=2, initial_delay=1000)

ENDINGS = [
    # error, retries used, status, event, costs, delay in ms
    (EncoderError("x"), 0, Status.SCHEDULED, Event.RETRYING, "retry", 1000),
    (EncoderError("x"), 1, Status.SCHEDULED, Event.RETRYING, "retry", 2000),
    (EncoderError("x"), 2, Status.FAILED, Event.FAILED, "attempt", 0),
    (TimeLimitError("x"), 0, Status.SCHEDULED, Event.RETRYING, "retry", 1000),
    (BadInputError("x"), 0, Status.FAILED, Event.FAILED, "attempt", 0),
    (Discard("x"), 0, Status.FAILED, Event.FAILED, "attempt", 0),
    (RetryLater("x", delay_s=7.5), 0, Status.SCHEDULED, Event.RETRYING, "retry", 7500),
    (RetryLater("x", delay_s=0.1), 1, Status.SCHEDULED, Event.RETRYING, "retry", 100),
    (RetryLater("x", delay_s=7.5, is_asked=True), 1, Status.SCHEDULED, Event.RETRYING, "retry", 7500),
    (RetryLater("x", delay_s=0.1, is_asked=True), 1, Status.SCHEDULED, Event.RETRYING, "retry", 1000),
    (RetryLater("x"), 1, Status.SCHEDULED, Event.RETRYING, "retry", 2000),
    (RetryLater("x", delay_s=7.5), 2, Status.FAILED, Event.FAILED, "attempt", 0),
    (WorkerLostError("x"), 0, Status.QUEUED, Event.RETRYING, "retry", 0),
    (WorkerLostError("x"), 2, Status.FAILED, Event.FAILED, "attempt", 0),
    (ShuttingDown(), 0, Status.QUEUED, Event.QUEUED, "nothing", 0),
    (ShuttingDown(), 2, Status.QUEUED, Event.QUEUED, "nothing", 0),
    (NotYet("x", delay_s=2.5), 0, Status.SCHEDULED, Event.QUEUED, "nothing", 2500),
    (NotYet("x", delay_s=2.5), 2, Status.SCHEDULED, Event.QUEUED, "nothing", 2500),
    (Cancelled(), 0, Status.CANCELLED, Event.CANCELLED, "attempt", 0),
    (ZeroDivisionError("x"), 0, Status.SCHEDULED, Event.RETRYING, "retry", 1000),
    (MemoryError(), 2, Status.FAILED, Event.FAILED, "attempt", 0),
]


@pytest.mark.parametrize(("error", "retries", "status", "event", "costs", "delay_ms"), ENDINGS)
def test_an_ending_leads_where_the_table_says(
    error: Exception, retries: int, status: Status, event: Event, costs: str, delay_ms: int
) -> None:
    following = after_failure(error, retries=retries, policy=POLICY)
    assert (following.status, following.event, following.costs) == (status, event, costs)
    assert following.delay_ms == delay_ms
    assert following.status in TRANSITIONS[Status.RUNNING]


def test_success_completes() -> None:
    assert after_success("done") == Next(Status.COMPLETED, Event.COMPLETED, "attempt", "done")


def test_the_record_keeps_code_sentence_and_whether_a_retry_helps() -> None:
    kept = after_failure(BadInputError("not a video"), retries=0, policy=POLICY).error
    assert kept == {"code": "bad_input", "message": "not a video", "retryable": False}
    kept = after_failure(KeyError("k"), retries=0, policy=POLICY).error
    assert kept is not None and (kept["code"], kept["message"]) == ("internal", "KeyError: 'k'")


def test_what_is_no_text_is_kept_as_text() -> None:
    name = os.fsdecode(b"caf\xe9")
    for error in (BadInputError(name), KeyError(), ValueError(f"no {name}")):
        kept = after_failure(error, retries=9, policy=POLICY).error
        assert kept is not None and json.dumps(kept["message"], ensure_ascii=False).encode()


def test_final_states_lead_nowhere_but_back_to_the_queue() -> None:
    for status, following in TRANSITIONS.items():
        assert not status.is_final or following <= {Status.QUEUED, Status.WAITING}
