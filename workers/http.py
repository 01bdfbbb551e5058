"""The `http` job type: one request to somebody's server; callbacks are jobs of this type."""

import time
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final, Literal

import orjson
import requests
from pydantic import Field, JsonValue
from urllib3.exceptions import HTTPError

from workers._answers import retry_after_s, status_phrase
from workers._receivers import Receivers
from workplatform.context import JobContext
from workplatform.errors import (
    BadInputError,
    DeliveryError,
    DeliveryRefusedError,
    JobError,
    RetryLater,
)
from workplatform.hooks import Headers, Url
from workplatform.masking import MASK
from workplatform.models import SECRET, Payload, Result
from workplatform.outbound import failure_reason
from workplatform.registry import job_type
from workplatform.retry import RetryPolicy
from workplatform.turns import NotYet
from workplatform.urls import http_url

# All of it: name, connection, TLS, sending, the answer. Standard Webhooks asks for 15 to 30 s.
_WITHIN: Final = timedelta(seconds=15)
_CONNECT_S: Final = 5.0
_LONGEST_WAIT: Final = timedelta(days=1)
_KEPT_BYTES: Final = 2048
_A_SECRET: Final = 6  # shorter header values are words that an answer may hold by chance
_QUOTED: Final = 200
_ASKED_TO_WAIT: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

_receivers = Receivers()


class HttpPayload(Payload):
    """A request to make."""

    url: Url = Field(description="Where to; http or https", examples=["https://example.com/hooks/job-done"])
    body: JsonValue = Field(None, description="What to send, as JSON; null sends no body", examples=[{"hello": "you"}])
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = Field("POST", description="The request's method")
    headers: Headers = Field(
        default_factory=dict,
        max_length=50,
        description="Further headers; shown masked",
        examples=[{"Authorization": "Bearer abc"}],
        json_schema_extra=SECRET,
    )
    signature: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="Sign after Standard Webhooks: `default` for WEBHOOK_SECRET, or the name of one of the operator's "
        "webhook secrets",
        examples=["default"],
    )
    about: str | None = Field(None, max_length=200, description="The job, flow or batch that this tells of")


class HttpResult(Result):
    """The answer that counted."""

    status: int = Field(description="HTTP status of the answer")
    latency_ms: int = Field(description="Milliseconds from the start to the answer's headers")


@job_type(
    "http",
    queue="http",
    concurrency=32,
    priority=2,
    time_limit=timedelta(seconds=60),
    # 5 s, 10 s, 20 s and so on: the last try comes a day after the first.
    retry=RetryPolicy(max_retries=15, initial_delay=5000, max_delay=21_600_000, jitter=0.2),
    is_local_work=False,
)
def http(payload: HttpPayload, job: JobContext) -> HttpResult:
    """Send JSON to a URL and require a 2xx answer.

    Any other answer is a failure that is tried again, since a receiver in the middle of a deployment answers 404 as
    well as 502; only 410 Gone is final. Redirects are not followed. Retry-After is obeyed, up to a day.
    """
    target = http_url(payload.url)
    origin = f"{target.scheme}://{target.netloc}"
    shown = f"{payload.method} {origin}{target.path or '/'}"
    job.stage("delivering")
    exchange = _Exchange()
    try:
        with _receivers.delivery(origin):
            _deliver(payload, job, exchange)
    except NotYet:
        raise
    except JobError as error:
        job.log(f"attempt {job.attempt}: {shown}: {error.message}")
        job.note(exchange.found() | {"error": error.message})
        raise
    job.log(f"attempt {job.attempt}: {shown}: delivered, {exchange.status} after {exchange.latency_ms} ms")
    job.note(exchange.found())
    return HttpResult(status=exchange.status, latency_ms=exchange.latency_ms)


class _Exchange:
    """A request and what came back for it, as far as something did."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.status = 0
        self.latency_ms = 0
        self.body = ""

    def answered(self, status: int) -> None:
        """Note the status of the answer, whose body is still to come."""
        self.status, self.latency_ms = status, self._elapsed_ms()

    def found(self) -> dict[str, Any]:
        """Return what is worth keeping of it."""
        if not self.status:
            return {"latency": self._elapsed_ms()}
        return {"statusCode": self.status, "latency": self.latency_ms, "answer": self.body}

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)


def _deliver(payload: HttpPayload, job: JobContext, exchange: _Exchange) -> None:
    with job.http(within=_WITHIN) as session, _answer(payload, session, job) as answer:
        exchange.answered(answer.status_code)
        if not 200 <= answer.status_code <= 299:
            exchange.body = _start(answer, payload)
            raise _failure(answer, exchange)
        job.progress(100, f"delivered, {exchange.status} after {exchange.latency_ms} ms")
        # It is delivered, and nothing that happens from here on may have it delivered again. The rest of the answer
        # is read for people, and because some servers take a closed connection for a failure of theirs.
        with suppress(JobError):
            exchange.body = _start(answer, payload)


def _answer(payload: HttpPayload, session: requests.Session, job: JobContext) -> requests.Response:
    """Send the request. The session's own `send` would read the whole body of a redirect, however long it is."""
    headers = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
    body = b"" if payload.body is None else orjson.dumps(payload.body)
    if body:
        headers["Content-Type"] = "application/json"
    signature = _signature(payload, job, body)
    try:
        request = session.prepare_request(
            requests.Request(
                payload.method,
                payload.url,
                data=body or None,
                headers=requests.structures.CaseInsensitiveDict(headers | payload.headers | signature),
            )
        )
        timeouts_s = (_CONNECT_S, _WITHIN.total_seconds())
        return session.get_adapter(request.url or "").send(request, stream=True, timeout=timeouts_s)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise BadInputError(f"the URL cannot be called: {error}") from error
    except requests.RequestException as error:
        raise DeliveryError(failure_reason(error)) from error


def _signature(payload: HttpPayload, job: JobContext, body: bytes) -> dict[str, str]:
    """Return the headers that sign the body. A secret that cannot be used is no reason to give a delivery up.

    Its file may be in the middle of being replaced, and else the operator has a day to bring it.
    """
    if payload.signature is None:
        return {}
    try:
        return job.signature(payload.signature, body)
    except BadInputError as error:
        raise JobError(error.message) from error


def _failure(answer: requests.Response, exchange: _Exchange) -> JobError:
    status = answer.status_code
    said = f"the receiver answered {status} {status_phrase(status)} after {exchange.latency_ms} ms"
    if quote := _one_line(exchange.body):
        said += f": {quote}"
    if status == HTTPStatus.GONE:
        return DeliveryRefusedError(said)
    wait_s = retry_after_s(answer.headers.get("Retry-After", ""), longest_s=_LONGEST_WAIT.total_seconds())
    if status in _ASKED_TO_WAIT and wait_s is not None:
        return RetryLater(f"{said}, and asks to come back in {wait_s:.0f} s", delay_s=wait_s, is_asked=True)
    if 300 <= status <= 399:
        said += "; redirects are not followed, use the final URL"
    return DeliveryError(said)


def _start(answer: requests.Response, payload: HttpPayload) -> str:
    """Return the start of the answer's body, without the secrets of the request that a receiver may echo."""
    body = b""
    with suppress(HTTPError):
        # More than is kept, so that a secret which reaches over the end is still found whole.
        body = answer.raw.read(2 * _KEPT_BYTES, decode_content=False)
    text = body.decode("utf-8", "replace")
    words = {word for value in payload.headers.values() for word in (value, *value.split()) if len(word) >= _A_SECRET}
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, MASK)
    return text.encode()[:_KEPT_BYTES].decode("utf-8", "ignore")


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_QUOTED]
