"""The http job type against real receivers that behave and misbehave."""

import json
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.receiver import Behaviour, Receiver, answering, receiving
from workers.http import HttpPayload, http
from workplatform import __version__
from workplatform.errors import DeliveryError, DeliveryRefusedError, JobError, RetryLater
from workplatform.registry import JobType, discover
from workplatform.testing import inline_job, run_inline

BODY = {"jobId": "job_1", "status": "completed", "result": {"success": True}, "error": None, "duration": 12}


def deliver(url: str, root: Path, **fields: Any) -> dict[str, Any]:
    return run_inline(http, {"url": url, "body": BODY, **fields}, root=root)


def failing(behave: Behaviour, root: Path) -> tuple[Exception, list[str]]:
    """Deliver to a receiver that does not accept; returns the error and the job's log."""
    with receiving(behave) as receiver, inline_job(root) as run:
        with pytest.raises((DeliveryError, RetryLater)) as failure:
            http(HttpPayload(url=f"{receiver.url}/hook?token=secret", body=BODY), run.job)
        run.look()
        return failure.value, run.lines


def test_json_is_posted_and_a_2xx_is_success(tmp_path: Path) -> None:
    with receiving(answering("204 No Content")) as receiver:
        result = deliver(f"{receiver.url}/hooks/done?a=1", tmp_path, about="job_1")
    (request,) = receiver.requests
    assert request.line == "POST /hooks/done?a=1 HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"WorkPlatform/{__version__}"
    assert json.loads(request.body) == BODY
    assert result["success"] is True
    assert result["status"] == 204
    assert result["latencyMs"] >= 0


def test_headers_of_the_caller_are_sent_and_win_over_the_defaults(tmp_path: Path) -> None:
    headers = {"Authorization": "Bearer k", "content-type": "application/cloudevents+json", "X-Empty": ""}
    with receiving(answering()) as receiver:
        deliver(receiver.url, tmp_path, headers=headers)
    (request,) = receiver.requests
    assert request.headers["authorization"] == "Bearer k"
    assert request.headers["content-type"] == "application/cloudevents+json"


def test_a_get_without_a_body_sends_none(tmp_path: Path) -> None:
    with receiving(answering()) as receiver:
        run_inline(http, {"url": receiver.url, "method": "GET"}, root=tmp_path)
    (request,) = receiver.requests
    assert request.line == "GET / HTTP/1.1"
    assert request.body == b""
    assert "content-type" not in request.headers


@pytest.mark.parametrize("status", ["404 Not Found", "401 Unauthorized", "408 X", "422 X", "500 Oops", "599 X"])
def test_an_answer_that_is_not_2xx_is_tried_again(status: str, tmp_path: Path) -> None:
    error, lines = failing(answering(status, b"no\nsuch   hook\x07"), tmp_path)
    assert isinstance(error, DeliveryError)
    assert error.retryable
    assert f"the receiver answered {status[:3]}" in error.message
    assert "no such hook" in lines[-1]


def test_410_gone_is_final(tmp_path: Path) -> None:
    error, _ = failing(answering("410 Gone"), tmp_path)
    assert isinstance(error, DeliveryRefusedError)
    assert not error.retryable


def test_a_redirect_is_a_failure_and_is_not_followed(tmp_path: Path) -> None:
    with receiving(answering()) as other:
        error, _ = failing(answering("307 Temporary Redirect", b"", f"Location: {other.url}/"), tmp_path)
        assert other.connections == 0
    assert "redirects are not followed" in str(error)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
@pytest.mark.parametrize(
    ("asked", "waited_s"), [("120", 120), (" 7 ", 7), ("0", 1), ("7200", 7200), ("999999999", 86_400)]
)
def test_retry_after_is_obeyed_within_reason(status: str, asked: str, waited_s: float, tmp_path: Path) -> None:
    error, _ = failing(answering(status, b"", f"Retry-After: {asked}"), tmp_path)
    assert isinstance(error, RetryLater)
    assert (error.data["delay_s"], error.data["is_asked"]) == (waited_s, True)


def test_retry_after_may_be_a_date(tmp_path: Path) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=30)
    error, _ = failing(answering("503 X", b"", f"Retry-After: {format_datetime(moment, usegmt=True)}"), tmp_path)
    assert isinstance(error, RetryLater)
    assert 1500 < error.data["delay_s"] <= 1800


@pytest.mark.parametrize("asked", ["soon", "-5", "1.5", "Mon, 99 Foo 2026 00:00:00 GMT", "", "٣"])
def test_a_retry_after_that_makes_no_sense_leaves_the_wait_to_the_policy(asked: str, tmp_path: Path) -> None:
    error, _ = failing(answering("503 X", b"", f"Retry-After: {asked}"), tmp_path)
    assert isinstance(error, DeliveryError)


def test_retry_after_on_another_status_is_not_obeyed(tmp_path: Path) -> None:
    error, _ = failing(answering("404 Not Found", b"", "Retry-After: 120"), tmp_path)
    assert isinstance(error, DeliveryError)


def test_every_attempt_leaves_a_line_without_the_query(tmp_path: Path) -> None:
    _, lines = failing(answering("500 Oops"), tmp_path)
    assert lines[0].startswith("attempt 1: POST http://127.0.0.1:")
    assert "/hook: the receiver answered 500 Internal Server Error after" in lines[0]
    assert "secret" not in "".join(lines)
    with receiving(answering()) as receiver, inline_job(tmp_path) as run:
        http(HttpPayload(url=f"{receiver.url}/hook", body=BODY), run.job)
        run.look()
    assert "/hook: delivered, 200 after" in run.lines[0]


def noted(behave: Behaviour, root: Path, **fields: Any) -> dict[str, Any]:
    """What an attempt to deliver keeps of the answer."""
    with receiving(behave) as receiver, inline_job(root) as run, suppress(DeliveryError, RetryLater):
        http(HttpPayload(url=receiver.url, body=BODY, **fields), run.job)
    [found] = run.notes
    return dict(found)


@pytest.mark.parametrize("status", ["200 OK", "500 Oops", "429 Slow down", "301 Moved"])
def test_every_attempt_keeps_status_latency_and_the_start_of_the_answer(status: str, tmp_path: Path) -> None:
    found = noted(answering(status, "é".encode() * 5000), tmp_path)
    assert found["statusCode"] == int(status[:3])
    assert found["latency"] >= 0
    assert found["answer"] == "é" * 1024, "2 KB"
    assert ("error" in found) is (status != "200 OK")


def test_an_attempt_without_an_answer_keeps_why(tmp_path: Path) -> None:
    def hang_up(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.close()

    found = noted(hang_up, tmp_path)
    assert "the connection broke" in found["error"]
    assert found.keys() == {"latency", "error"}


@pytest.mark.parametrize("status", ["200 OK", "500 Oops"])
def test_a_receiver_that_echoes_the_request_gives_no_secret_away(status: str, tmp_path: Path) -> None:
    headers = {"Authorization": "Bearer hunter2hunter2", "X-Short": "on", "X-Long": "k" * 300}
    echo = b"x" * 1900 + b" {'authorization': 'Bearer hunter2hunter2', 'token': 'hunter2hunter2'} " + b"k" * 300
    found = noted(answering(status, echo), tmp_path, headers=headers)
    told = json.dumps(found)
    assert "hunter2" not in told and "kkk" not in told
    assert "'authorization': '***'" in found["answer"]


def test_the_retries_of_a_delivery_go_on_for_a_day() -> None:
    policy = discover(["workers"])["http"].retry
    for draw, hours in ((0.0, 24), (0.999, 18)):
        waits = [policy.delay(retry, draw=draw) for retry in range(1, policy.max_retries + 1)]
        assert timedelta(hours=hours - 1) < sum(waits, timedelta()) <= timedelta(hours=24)
    assert policy.delay(1, draw=0) == timedelta(seconds=5)


def test_a_delivery_whose_secret_cannot_be_used_now_is_tried_again_and_not_sent_unsigned(tmp_path: Path) -> None:
    with receiving(answering()) as receiver, pytest.raises(JobError, match="no webhook secret 'shop'") as failure:
        deliver(receiver.url, tmp_path, signature="shop")
    assert failure.value.retryable
    assert receiver.connections == 0


def test_a_receiver_that_is_down_is_tried_again(tmp_path: Path) -> None:
    with receiving(answering()) as receiver:
        url = receiver.url
    with pytest.raises(DeliveryError, match="no connection: Connection refused"):
        deliver(url, tmp_path)


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_a_receiver_that_speaks_no_http_is_tried_again(said: bytes, tmp_path: Path) -> None:
    def hang_up(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(said)

    error, _ = failing(hang_up, tmp_path)
    assert "the connection broke" in str(error)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"url": "ftp://example.com/"}, "must start with http"),
        ({"url": "http://u:p@example.com/"}, "user name"),
        ({"url": "http://example.com/" + "a" * 2000}, "at most 2000"),
        ({"headers": {"Host": "other.example"}}, "set by the platform"),
        ({"headers": {"content-LENGTH": "0"}}, "set by the platform"),
        ({"headers": {"Proxy-Authorization": "x"}}, "set by the platform"),
        ({"headers": {"X-A": "b\r\nX-C: d"}}, "cannot carry"),
        ({"headers": {"X-A": "☃"}}, "cannot carry"),
        ({"headers": {"X A": "b"}}, "not a header name"),
        ({"method": "BREW"}, "POST"),
    ],
)
def test_a_request_that_must_not_be_made_is_refused_at_submission(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        HttpPayload.model_validate({"url": "http://example.com/", "body": BODY, **fields})


def test_callbacks_take_no_slot_of_local_work() -> None:
    declared: JobType = discover(["workers"])["http"]
    assert not declared.is_local_work
    assert declared.concurrency == 32
    assert declared.retry.max_retries == 15
