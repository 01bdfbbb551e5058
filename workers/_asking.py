"""Asking a server for a file: redirects hop by hop, secrets for the first host only, refusals as errors of a job."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
from requests.cookies import extract_cookies_to_jar, get_cookie_header
from urllib3.exceptions import HTTPError

from workers._answers import retry_after_s, status_phrase
from workers._cookies import Cookies
from workers._pages import page_title
from workplatform.errors import (
    BadInputError,
    JobError,
    RetryLater,
    SourceFailedError,
    SourceRefusedError,
    SourceUnreachableError,
    UnexpectedContentError,
    UrlForbiddenError,
)
from workplatform.outbound import failure_reason
from workplatform.urls import http_url

# Connecting, and each wait for data.
TIMEOUTS_S: Final = (10.0, 15.0)
_MOST_REDIRECTS: Final = 10
_PAGE_BYTES: Final = 64 * 1024
_ASKS_TO_WAIT: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
)
_FILE: Final = frozenset({HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION, HTTPStatus.PARTIAL_CONTENT})
# Sent to whichever host a redirect leads to: they say nothing that the first host alone should know.
_FOR_ANYONE: Final = frozenset({"user-agent", "accept", "accept-language", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """The file to ask for, and what to show to its host."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Cookies = field(default_factory=lambda: Cookies("", ()))
    referer: str | None = None


def ask(session: requests.Session, wanted: Wanted, extra: dict[str, str]) -> requests.Response:
    """Return the answer that all redirects led to, its body unread; its status is whatever the server says.

    The caller's headers and cookies go to the first host only; another host, another port or a step down from https
    ends that for good. Raises SourceUnreachableError, SourceRefusedError for redirects that do not end,
    UrlForbiddenError for a hop that must not be called.
    """
    url = wanted.url
    seen: list[str] = []
    is_home = True
    while True:
        answer = _send(session, url, _headers(session, wanted, url, is_home=is_home) | extra)
        following = _target(session, answer, url)
        if following is None:
            return answer
        seen.append(url)
        if len(seen) > _MOST_REDIRECTS:
            circle = "; it leads in a circle" if following in seen else ""
            raise SourceRefusedError(f"{host_of(wanted.url)} redirects more than {_MOST_REDIRECTS} times{circle}")
        is_home = is_home and not session.should_strip_auth(url, following)
        url = following


def failure(answer: requests.Response) -> JobError | None:
    """Return the error that an answer stands for; None if it brings a file."""
    status = answer.status_code
    if status in _FILE:
        return None
    said = f"{host_of(answer.url)} answered {status} {status_phrase(status)}".rstrip() + _title(answer)
    if status in _ASKS_TO_WAIT:
        wait_s = retry_after_s(answer.headers.get("Retry-After", ""))
        if wait_s is not None:
            return RetryLater(f"{said}, and asks to come back in {wait_s:.0f} s", delay_s=wait_s)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return RetryLater(said)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SourceFailedError(said)
    return SourceRefusedError(said, status=status)


def host_of(url: str) -> str:
    """Return the host of a URL with its port, if it names one."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _target(session: requests.Session, answer: requests.Response, url: str) -> str | None:
    """Return where a redirect leads to and close it; None for any other answer. Raises UrlForbiddenError."""
    if not answer.is_redirect:
        return None
    answer.close()
    try:
        target = session.get_redirect_target(answer) or ""
        following = urljoin(url, target.strip().replace(" ", "%20"))
    except ValueError as error:
        raise UrlForbiddenError(f"{host_of(url)} redirects to what is no URL") from error
    http_url(following)
    return following


def _headers(session: requests.Session, wanted: Wanted, url: str, *, is_home: bool) -> dict[str, str]:
    chosen = requests.structures.CaseInsensitiveDict({"Accept": "*/*", "Accept-Encoding": "identity"})
    if wanted.referer:
        chosen["Referer"] = wanted.referer
    chosen.update({name: value for name, value in wanted.headers.items() if is_home or name.lower() in _FOR_ANYONE})
    learned = get_cookie_header(session.cookies, requests.Request("GET", url).prepare()) or ""
    pairs = (part.partition("=") for part in learned.split("; ") if part)
    named = {name: value for name, _, value in pairs}
    if cookie := wanted.cookies.header(url, is_home=is_home, learned=named):
        chosen["Cookie"] = cookie
    # One file a connection: what follows the body then shows that its length was a lie.
    chosen["Connection"] = "close"
    return dict(chosen)


def _send(session: requests.Session, url: str, headers: Mapping[str, str]) -> requests.Response:
    """Send one request. The session's own `send` would read the whole body of a redirect, however long it is."""
    try:
        request = session.prepare_request(requests.Request("GET", url, headers=dict(headers)))
        answer = session.get_adapter(request.url or "").send(request, stream=True, timeout=TIMEOUTS_S)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise BadInputError(f"the URL cannot be called: {error}") from error
    except requests.exceptions.InvalidHeader as error:
        raise UnexpectedContentError(f"{host_of(url)} contradicts itself: {error}") from error
    except requests.RequestException as error:
        raise SourceUnreachableError(f"{host_of(url)}: {failure_reason(error)}") from error
    except HTTPError as error:
        raise SourceUnreachableError(f"{host_of(url)}: the answer is no HTTP: {type(error).__name__}") from error
    extract_cookies_to_jar(session.cookies, request, answer.raw)
    return answer


def _title(answer: requests.Response) -> str:
    """Quote the title of the page that explains a refusal."""
    head = b""
    if "html" in answer.headers.get("Content-Type", "") and not answer.headers.get("Content-Encoding"):
        with suppress(HTTPError):
            head = answer.raw.read(_PAGE_BYTES, decode_content=False)
    title = page_title(head)
    return f": {title!r}" if title else ""
