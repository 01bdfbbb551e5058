"""The `http` job type: one request to somebody's server; callbacks are jobs of this type."""

import time
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Final, Literal

import orjson
import requests
from pydantic import Field, JsonValue, field_validator
from urllib3.exceptions import HTTPError

from workers._answers import retry_after_s, status_phrase
from workers._headers import check_headers
from workers._receivers import Receivers
from workplatform.context import JobContext
from workplatform.errors import (
    BadInputError,
    DeliveryError,
    DeliveryRefusedError,
    JobError,
    RetryLater,
    UrlForbiddenError,
)
from workplatform.models import SECRET, Payload, Result
from workplatform.outbound import failure_reason
from workplatform.registry import job_type
from workplatform.retry import RetryPolicy
from workplatform.urls import http_url

# All of it: name, connection, TLS, sending, the answer. Standard Webhooks asks for 15 to 30 s.
_WITHIN: Final = timedelta(seconds=15)
_CONNECT_S: Final = 5.0
_READ_BYTES: Final = 2048
_QUOTED: Final = 200
_ASKED_TO_WAIT: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

_receivers = Receivers()


class HttpPayload(Payload):
    """A request to make."""

    url: str = Field(
        max_length=2000, description="Where to; http or https", examples=["https://example.com/hooks/job-done"]
    )
    body: JsonValue = Field(None, description="What to send, as JSON; null sends no body", examples=[{"hello": "you"}])
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = Field("POST", description="The request's method")
    headers: dict[str, str] = Field(
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
    about: str | None = Field(None, max_length=100, description="The job that this tells of")

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        try:
            http_url(url)
        except UrlForbiddenError as error:
            raise ValueError(error.message) from error
        return url

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        return check_headers(headers)


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
    well as 502; only 410 Gone is final. Redirects are not followed. Retry-After is obeyed, up to an hour.
    """
    target = http_url(payload.url)
    shown = f"{payload.method} {target.scheme}://{target.netloc}{target.path or '/'}"
    job.stage("delivering")
    try:
        with _receivers.delivery(f"{target.scheme}://{target.netloc}"):
            result = _deliver(payload, job)
    except JobError as error:
        job.log(f"attempt {job.attempt}: {shown}: {error.message}")
        raise
    job.log(f"attempt {job.attempt}: {shown}: delivered, {result.status} after {result.latency_ms} ms")
    return result


def _deliver(payload: HttpPayload, job: JobContext) -> HttpResult:
    started = time.monotonic()
    with job.http(within=_WITHIN) as session, _answer(payload, session, job) as answer:
        latency_ms = round((time.monotonic() - started) * 1000)
        if not 200 <= answer.status_code <= 299:
            raise _failure(answer, latency_ms)
        job.progress(100, f"delivered, {answer.status_code} after {latency_ms} ms")
        # It is delivered, and nothing that happens from here on may have it delivered again. The rest of the answer
        # is read only because some servers take a closed connection for a failure of theirs.
        with suppress(HTTPError, JobError):
            answer.raw.read(_READ_BYTES, decode_content=False)
        return HttpResult(status=answer.status_code, latency_ms=latency_ms)


def _answer(payload: HttpPayload, session: requests.Session, job: JobContext) -> requests.Response:
    """Send the request. The session's own `send` would read the whole body of a redirect, however long it is."""
    headers = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
    body = b"" if payload.body is None else orjson.dumps(payload.body)
    if body:
        headers["Content-Type"] = "application/json"
    signature = job.signature(payload.signature, body) if payload.signature else {}
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


def _failure(answer: requests.Response, latency_ms: int) -> JobError:
    status = answer.status_code
    said = f"the receiver answered {status} {status_phrase(status)} after {latency_ms} ms{_quote(answer)}"
    if status == HTTPStatus.GONE:
        return DeliveryRefusedError(said)
    wait_s = retry_after_s(answer.headers.get("Retry-After", ""))
    if status in _ASKED_TO_WAIT and wait_s is not None:
        return RetryLater(f"{said}, and asks to come back in {wait_s:.0f} s", delay_s=wait_s)
    if 300 <= status <= 399:
        said += "; redirects are not followed, use the final URL"
    return DeliveryError(said)


def _quote(answer: requests.Response) -> str:
    """Return the start of the answer's body, on one line."""
    body = b""
    with suppress(HTTPError):
        body = answer.raw.read(_READ_BYTES, decode_content=False)
    text = " ".join("".join(c if c.isprintable() else " " for c in body.decode("utf-8", "replace")).split())
    return f": {text[:_QUOTED]}" if text else ""
