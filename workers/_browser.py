"""Visiting a page before its file is fetched: real Chromium runs the page, the downloader gets cookies and user agent.

One browser serves the jobs of a worker, each visit in a context of its own, so that no cookie, cache or page of one job
is there for the next. It is replaced after some visits or when it has grown, and ends when nobody needs it.
"""

import atexit
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import BAD_GATEWAY
from typing import Any, Final
from urllib.parse import urlsplit

from workers._browser_driver.orders import Order, Told, Waits
from workers._browser_process import BrowserGoneError, BrowserProcess
from workers._browser_proxy import GuardedProxy
from workplatform.context import JobContext
from workplatform.errors import BrowserError, SourceUnreachableError
from workplatform.urls import http_url, plain_name

_VISITS: Final = 50
_MEMORY_BYTES: Final = 1_500_000_000
_IDLE_S: Final = 120.0
_WAITS: Final = Waits()
_LOOK_AT_MEMORY_S: Final = 1.0
_GIVEN_FIELDS: Final = ("name", "value", "domain", "path", "secure")
_COOKIE_FIELDS: Final = ("name", "value", "domain", "path", "secure", "expires")


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page left behind: `cookies` with name, value, domain, path, secure and expires (Unix seconds, -1 for the
    session; a domain with a leading dot covers its subdomains), and the `user_agent` that they belong to.
    """

    cookies: tuple[dict[str, Any], ...]
    user_agent: str
    url: str
    title: str


class Browsers:
    """The browser of this process, and those that end when their last visit does. Thread-safe.

    A browser takes `visits` visits, and no further one when it holds more than `memory_bytes`; at twice that it is
    ended at once.
    """

    def __init__(self, *, visits: int = _VISITS, memory_bytes: int = _MEMORY_BYTES, idle_s: float = _IDLE_S) -> None:
        self._visits = visits
        self._memory_bytes = memory_bytes
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._current: _Shared | None = None

    @property
    def current(self) -> BrowserProcess | None:
        """The browser that takes the next visit, if there is one."""
        return self._current.process if self._current else None

    def visit(self, job: JobContext, order: Order) -> Told:
        """Make a visit in the current browser, or in a new one; raises BrowserError, BrowserMissingError.

        A browser that ended meanwhile, idle for too long perhaps, is replaced once.
        """
        try:
            return self._visit(job, order)
        except BrowserGoneError:
            return self._visit(job, order)

    def close(self) -> None:
        """End the browser."""
        with self._lock:
            current, self._current = self._current, None
        if current:
            current.process.close()

    def _visit(self, job: JobContext, order: Order) -> Told:
        shared = self._join(job)
        try:
            shared.process.wait_until_ready(job.check_cancelled)
            return shared.process.visit(order, _Watch(job, shared.process, 2 * self._memory_bytes).look)
        finally:
            self._leave(shared)

    def _join(self, job: JobContext) -> "_Shared":
        with self._lock:
            if self._current is None or self._current.process.is_gone:
                folder = job.workdir.parent / "browser"  # beside the attempts' scratch: a browser outlives an attempt
                self._current = _Shared(BrowserProcess(folder, idle_s=self._idle_s))
            shared = self._current
            shared.visits += 1
            shared.guests += 1
            if shared.visits >= self._visits:
                self._current = None
            return shared

    def _leave(self, shared: "_Shared") -> None:
        is_grown = shared.process.memory_bytes() > self._memory_bytes
        with self._lock:
            shared.guests -= 1
            if self._current is shared and (is_grown or shared.process.is_gone):
                self._current = None
            is_last = shared.guests == 0 and self._current is not shared
        if is_last:
            shared.process.close()


@dataclass(slots=True)
class _Shared:
    """A browser, how many visits it has taken, and how many are on."""

    process: BrowserProcess
    visits: int = 0
    guests: int = 0


class _Watch:
    """Ends a visit with its job, or when the page makes the browser grow without bounds."""

    def __init__(self, job: JobContext, process: BrowserProcess, memory_bytes: int) -> None:
        self._job = job
        self._process = process
        self._memory_bytes = memory_bytes
        self._next = 0.0

    def look(self) -> None:
        """Raise the reason to end the visit, if there is one."""
        self._job.check_cancelled()
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LOOK_AT_MEMORY_S
        if self._process.memory_bytes() > self._memory_bytes:
            self._process.close()
            raise BrowserError("the page took more memory than a browser may have")


BROWSERS: Final = Browsers()
atexit.register(BROWSERS.close)


@contextmanager
def visit(  # noqa: PLR0913 - what a request has
    job: JobContext,
    *,
    page_url: str,
    file_url: str,
    referer: str | None = None,
    headers: Mapping[str, str] | None = None,
    cookies: Sequence[Mapping[str, Any]] = (),
    waits: Waits = _WAITS,
    browsers: Browsers = BROWSERS,
) -> Iterator[Visit]:
    """Visit `page_url`, let it set cookies and pass its challenge, and lend what it left; its page is closed by then.

    `headers`, and `cookies` that name no domain, go to the hosts of the two URLs and to no other. Raises
    UrlForbiddenError, SourceUnreachableError, BrowserError, and BrowserMissingError with the mend.
    """
    page, file = http_url(page_url), http_url(file_url)
    named = {name.lower(): value for name, value in (headers or {}).items()}
    with GuardedProxy(job.connect) as proxy:
        order = Order(
            id=uuid.uuid4().hex,
            url=page_url,
            file_url=file_url,
            proxy=proxy.url,
            referer=referer,
            user_agent=named.get("user-agent"),
            headers=dict(headers or {}),
            hosts=sorted({plain_name(page.host or ""), plain_name(file.host or "")}),
            cookies=[given for cookie in cookies for given in _given(cookie, page_url, file_url)],
            waits=waits,
        )
        told = browsers.visit(job, order)
        _check(told, proxy)
    job.log(_summary(told))
    yield Visit(
        cookies=tuple({name: cookie.get(name) for name in _COOKIE_FIELDS} for cookie in told.cookies),
        user_agent=told.user_agent,
        url=told.url,
        title=told.title,
    )


def _given(cookie: Mapping[str, Any], *urls: str) -> Iterator[dict[str, Any]]:
    """Yield a caller's cookie as the browser takes it: for its own domain, else for each of the URLs."""
    kept = {
        name: cookie[name] for name in ("name", "value", "domain", "path", "secure") if cookie.get(name) is not None
    }
    if isinstance(expires := cookie.get("expires"), int | float) and expires > 0:
        kept["expires"] = expires
    if kept.get("domain"):
        yield {"path": "/"} | kept
        return
    for url in dict.fromkeys(urls):
        parts = urlsplit(url)
        yield kept | {"url": f"{parts.scheme}://{parts.netloc}/"}


def _check(told: Told, proxy: GuardedProxy) -> None:
    """Raise what the visit failed by, in the words of the guard where it was the guard."""
    host = plain_name(urlsplit(told.url).hostname or "")
    if refusal := proxy.refusals.get(host):
        raise refusal
    unreached = proxy.failures.get(host) if told.failure or told.status == BAD_GATEWAY else None
    if not (told.failure or unreached):
        return
    reason = unreached or told.failure
    if unreached or told.failure.startswith(("net::", "no answer")):
        raise SourceUnreachableError(f"the page of {host} cannot be loaded: {reason}")
    raise BrowserError(f"the page of {host} could not be visited: {reason}")


def _summary(told: Told) -> str:
    named = ", ".join(sorted({cookie["name"] for cookie in told.cookies})) or "none"
    still = ", still a challenge" if told.is_challenge else ""
    return f"visited {urlsplit(told.url).hostname}: {told.title[:100]!r}, status {told.status}{still}, cookies: {named}"
