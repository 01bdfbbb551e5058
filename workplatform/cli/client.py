"""The command line's HTTP client: one method per route, and an exit code for each way it can go wrong."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import quote, urlsplit

import requests

from workplatform.address import local_url
from workplatform.cli.errors import CommandError
from workplatform.settings import Settings, load

_EXIT_CODES: dict[int, int] = {
    HTTPStatus.UNAUTHORIZED: 4,
    HTTPStatus.FORBIDDEN: 4,
    HTTPStatus.NOT_FOUND: 5,
    HTTPStatus.CONFLICT: 6,
    HTTPStatus.TOO_MANY_REQUESTS: 7,
}
_AWAY = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
_CONNECT_S = 3.0
_ANSWER_S = 30.0
_DIGESTED_S = 300.0  # a large file that came in pieces is read once more when it is whole
_SILENCE_S = 40.0  # the event stream says something every 15 s

Document = dict[str, Any]


class ApiError(CommandError):
    """The API refused; the exit code says why."""

    def __init__(self, message: str, status: int, code: str = "") -> None:
        super().__init__(message, _EXIT_CODES.get(status, 1))
        self.status = status
        self.code = code


class UnreachableError(CommandError):
    """The API cannot be reached."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 3)


class ApiClient:
    """Speaks to one platform."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = not _is_loopback(self.url)  # a proxy cannot reach this machine's loopback
        if key:
            self._session.headers["X-API-Key"] = key

    def submit(self, job_type: str, payload: Document, **options: Any) -> Document:
        """Submit a job; options that are None are left out."""
        given = {name: value for name, value in options.items() if value is not None}
        return self._call("POST", "/jobs", body={"type": job_type, "payload": payload, **given})

    def job(self, job_id: str) -> Document:
        """Return a job."""
        return self._call("GET", _job_path(job_id))

    def jobs(self, **filters: Any) -> Document:
        """Return a page of jobs; filters that are None are left out."""
        return self._call("GET", "/jobs", params=filters)

    def cancel(self, job_id: str) -> Document:
        """Cancel a job."""
        return self._call("DELETE", _job_path(job_id))

    def retry(self, job_id: str) -> Document:
        """Queue a job that has ended again."""
        return self._call("POST", f"{_job_path(job_id)}/retry")

    def retry_many(self, order: Document) -> Document:
        """Begin to retry all failed jobs that match, or ask how many do."""
        return self._call("POST", "/jobs/retry", body=order)

    def retry_state(self, retry_id: str) -> Document:
        """Return how far a retry of many jobs is."""
        return self._call("GET", f"/retries/{quote(retry_id, safe='')}")

    def errors(self, **filters: Any) -> Document:
        """Return a page of errors that are alike; filters that are None are left out."""
        return self._call("GET", "/errors", params=filters)

    def logs(self, job_id: str, after: int | str) -> Document:
        """Return the lines of a job's log after the given one."""
        return self._call("GET", f"{_job_path(job_id)}/logs", params={"after": after})

    def deliveries(self, job_id: str) -> Document:
        """Return the callbacks about a job."""
        return self._call("GET", f"{_job_path(job_id)}/deliveries")

    def resend(self, job_id: str, delivery_id: str) -> Document:
        """Have a callback about a job sent again."""
        return self._call("POST", f"{_job_path(job_id)}/deliveries/{quote(delivery_id, safe='')}/resend")

    def stats(self) -> Document:
        """Return the platform's figures."""
        return self._call("GET", "/stats")

    def queues(self) -> Document:
        """Return how the queues stand."""
        return self._call("GET", "/queues")

    def change_queue(self, queue: str, verb: str) -> Document:
        """Pause, resume or purge a queue."""
        return self._call("POST", f"/queues/{quote(queue, safe='')}/{verb}")

    def flows(self, **filters: Any) -> Document:
        """Return a page of flows; filters that are None are left out."""
        return self._call("GET", "/flows", params=filters)

    def batches(self, **filters: Any) -> Document:
        """Return a page of batches; filters that are None are left out."""
        return self._call("GET", "/batches", params=filters)

    def one_of(self, kind: str, name: str) -> Document:
        """Return one of the `flows`, `batches` or `schedules`."""
        return self._call("GET", f"/{kind}/{quote(name, safe='')}")

    def change_one_of(self, kind: str, name: str, verb: str) -> Document:
        """Do to one of the `flows`, `batches` or `schedules` what its route of that name does."""
        return self._call("POST", f"/{kind}/{quote(name, safe='')}/{verb}")

    def limits(self) -> Document:
        """Return the limits."""
        return self._call("GET", "/limits")

    def set_limit(self, kind: str, name: str, limit: Document) -> Document:
        """Set the limit of a job type or an API key."""
        return self._call("PUT", _limit_path(kind, name), body=limit)

    def take_back_limit(self, kind: str, name: str) -> Document:
        """Let what the settings say count again."""
        return self._call("DELETE", _limit_path(kind, name))

    def schedules(self) -> Document:
        """Return the schedules."""
        return self._call("GET", "/schedules")

    def workers(self, **filters: Any) -> Document:
        """Return the live workers; filters that are None are left out."""
        return self._call("GET", "/workers", params=filters)

    def files(self, **filters: Any) -> Document:
        """Return a page of the files that were sent."""
        return self._call("GET", "/files", params=filters)

    def outputs(self, job_id: str, **filters: Any) -> Document:
        """Return a page of the files that a job has made."""
        return self._call("GET", f"{_job_path(job_id)}/files", params=filters)

    def remove(self, name: str) -> None:
        """Remove a file that was sent."""
        self._call("DELETE", f"/files/{quote(name)}")

    def send(self, path: str, body: Any, headers: Mapping[str, str]) -> requests.Response:
        """Put a file, or a piece of one; the answer may say that more is wanted."""
        timeouts = (_CONNECT_S, _DIGESTED_S)
        return self._request("PUT", path, data=body, headers=dict(headers), timeout=timeouts)

    def stream(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        """Begin to read a file, of this platform or of the store that it names; only this platform sees the key."""
        options: dict[str, Any] = {"headers": dict(headers), "stream": True, "allow_redirects": False}
        if not url.startswith("/api/"):
            return _foreign(url, timeout=(_CONNECT_S, _SILENCE_S), **options)
        response = self._request("GET", url.removeprefix("/api"), timeout=(_CONNECT_S, _SILENCE_S), **options)
        if not response.is_redirect:
            return response
        response.close()
        return self.stream(response.headers["Location"], headers)

    def is_ready(self) -> bool:
        """Whether the platform has its store and its workers."""
        return self._is_ok("/readyz")

    def is_alive(self) -> bool:
        """Whether an API of ours answers, with or without store and workers."""
        return self._is_ok("/healthz")

    def _is_ok(self, path: str) -> bool:
        try:
            return self._session.get(f"{self.url}{path}", timeout=1).status_code == HTTPStatus.OK
        except requests.RequestException:
            return False

    @contextmanager
    def events(self, **filters: str) -> Iterator[Iterator[Document]]:
        """Open the event stream; the documents come as long as the API keeps it open."""
        with self._request("GET", "/events", params=filters, stream=True, timeout=(_CONNECT_S, _SILENCE_S)) as response:
            yield _read_events(response)

    def _call(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None) -> Document:
        with self._request(method, path, params=params, json=body, timeout=(_CONNECT_S, _ANSWER_S)) as response:
            try:
                return cast("Document", response.json()) if response.content else {}
            except ValueError:
                raise ApiError(f"{self.url} is not a Work Platform: its answer is not JSON", 500) from None

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            response = self._session.request(method, f"{self.url}/api{path}", **options)
        except (requests.ConnectionError, requests.Timeout):
            raise UnreachableError(
                f"{self.url} does not answer: start the platform with `workplatform up`, or set WORKPLATFORM_URL"
            ) from None
        except requests.RequestException as error:
            raise UnreachableError(f"{self.url} cannot be asked: {error}") from None
        if response.status_code < HTTPStatus.BAD_REQUEST:
            return response
        with response:
            if response.status_code in _AWAY:
                raise UnreachableError(_sentence(response))
            raise ApiError(_sentence(response), response.status_code, _code(response))


def connect() -> ApiClient:
    """Return a client of the platform at WORKPLATFORM_URL, or of the one that the settings describe."""
    settings = load().settings
    return ApiClient(os.environ.get("WORKPLATFORM_URL") or local_url(settings), key_of(settings))


def key_of(settings: Settings) -> str | None:
    """Return API_KEY in the clear, or the first of API_KEYS."""
    return next(iter(settings.keys.values()), None)


def parse_events(lines: Iterable[str]) -> Iterator[Document]:
    """Read an event stream (WHATWG HTML, section 9.2.6); only the data matter here, comments keep it alive."""
    data: list[str] = []
    for line in lines:
        name, _, value = line.partition(":")
        if not line and data:
            yield json.loads("\n".join(data))
            data = []
        elif name == "data":
            data.append(value.removeprefix(" "))


def _read_events(response: requests.Response) -> Iterator[Document]:
    """Read a response's events; a stream that breaks ends, and whoever reads it asks again."""
    response.encoding = "utf-8"
    try:
        # chunk_size None hands over what has arrived; a number would wait for so many bytes
        yield from parse_events(response.iter_lines(chunk_size=None, decode_unicode=True))
    except (requests.RequestException, ValueError):
        return


def _foreign(url: str, **options: Any) -> requests.Response:
    try:
        response = requests.get(url, **options)  # noqa: S113 - the timeout is among the options
    except requests.RequestException as error:
        raise UnreachableError(f"{urlsplit(url).hostname} cannot be asked: {type(error).__name__}") from None
    if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
        response.close()
        raise ApiError(f"{urlsplit(url).hostname} answered {response.status_code}", response.status_code)
    return response


def _limit_path(kind: str, name: str) -> str:
    return f"/limits/{kind}/{quote(name, safe='')}"


def _job_path(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def _sentence(response: requests.Response) -> str:
    """Return the API's own words."""
    try:
        problem = response.json()
        sentence = str(problem["error"])
        details = [f"{item['pointer']}: {item['detail']}" for item in problem.get("errors") or []]
    except (ValueError, KeyError, TypeError):
        return f"the API answered {response.status_code} {response.reason}"
    return "\n  ".join([sentence, *details]) if len(details) > 1 else sentence


def _code(response: requests.Response) -> str:
    try:
        return str(response.json()["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
