"""One file of a download: what its host gets to see, the browser's part, and the transfer."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from workers._asking import Wanted
from workers._cookies import CookieObject, Cookies, read_cookies
from workers._download_models import DownloadPayload
from workers._pace import Pace
from workers._transfer import Arrived, Demands, Observer, Transfer
from workplatform.context import JobContext, Output
from workplatform.errors import (
    BrowserError,
    BrowserMissingError,
    JobError,
    SourceRefusedError,
    SourceUnreachableError,
    UnexpectedContentError,
    UrlForbiddenError,
)
from workplatform.urls import plain_name

_FOR_VISITORS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_VISIT_FAILURES: Final = (BrowserError, BrowserMissingError, SourceUnreachableError, UrlForbiddenError)


@dataclass(frozen=True, slots=True)
class File:
    """One file: where it is, the page that shows it, and what the payload says of every file."""

    url: str
    page: str | None
    referer: str | None
    payload: DownloadPayload

    def wanted(self) -> Wanted:
        """Return the request for it, as the caller described it."""
        host = plain_name(urlsplit(self.url).hostname or "")
        cookies = Cookies(host, read_cookies(self.payload.cookies))
        return Wanted(self.url, self.payload.headers, cookies, self.referer or self.page)

    def demands(self) -> Demands:
        """Return what it must be."""
        sha256 = self.payload.sha256.lower() if self.payload.sha256 else None
        return Demands(sha256, self.payload.max_bytes, self.payload.expect_type)

    def pace(self) -> Pace:
        """Return a new pace for it."""
        return Pace(least=self.payload.min_bytes_per_second)


def fetch(
    job: JobContext, file: File, *, pace: Pace, observer: Observer, place: Output | Callable[[str], Output]
) -> Arrived:
    """Fetch the file into its output, or into the one that `place` gives for the name that the server offers.

    With usePuppeteer a browser visits the page first. Left open, it does so only where the host refuses the file, or
    gives a page instead, and there is a browser.
    """
    wanted = file.wanted()
    if file.payload.use_puppeteer:
        wanted = _after_visit(job, file, wanted, observer)
    try:
        return Transfer(job, wanted, demands=file.demands(), pace=pace, observer=observer, place=place).run()
    except (SourceRefusedError, UnexpectedContentError) as error:
        if file.payload.use_puppeteer is not None or not file.page or not _asks_for_a_visit(error):
            raise
        refusal = error
    try:
        wanted = _after_visit(job, file, wanted, observer)
    except _VISIT_FAILURES as error:
        job.log(f"no help from a browser: {error.message}")
        raise refusal from error
    return Transfer(job, wanted, demands=file.demands(), pace=pace, observer=observer, place=place).run()


def _asks_for_a_visit(error: JobError) -> bool:
    """Whether a host refuses a stranger what it gives to a browser: 401, 403, or a page in the place of the file."""
    return bool(error.data.get("is_page")) or error.data.get("status") in _FOR_VISITORS


def _after_visit(job: JobContext, file: File, wanted: Wanted, observer: Observer) -> Wanted:
    """Visit the page; return the request with the cookies that the page left and the browser's user agent."""
    observer.stage("visiting")
    browser: Any = importlib.import_module("workers._browser")  # with its processes only where it is needed
    given = [cookie.model_dump(exclude_none=True) for cookie in wanted.cookies.given]
    with browser.visit(
        job,
        page_url=file.page,
        file_url=file.url,
        referer=file.referer,
        headers=file.payload.headers,
        cookies=given,
    ) as visit:
        left = tuple(_cookie(cookie) for cookie in visit.cookies)
        agent = {"User-Agent": visit.user_agent}
    cookies = Cookies(wanted.cookies.home, (*wanted.cookies.given, *left))
    return replace(wanted, cookies=cookies, headers=agent | dict(wanted.headers))


def _cookie(left: Mapping[str, Any]) -> CookieObject:
    return CookieObject(
        name=left["name"],
        value=left["value"].encode().decode("latin-1"),  # a header's characters are bytes
        domain=left["domain"],
        path=left["path"] or "/",
        secure=bool(left["secure"]),
    )
