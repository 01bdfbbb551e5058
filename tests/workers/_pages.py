"""What visits are tested with: a browser, real pages, and a view of the processes that it leaves."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.receiver import Behaviour, Receiver, answering
from workers._browser import Browsers, Visit, visit
from workers._browser_driver.orders import Waits
from workplatform import browsing
from workplatform.context import JobContext
from workplatform.errors import BrowserMissingError

QUICK = Waits(limit_s=10.0, quiet_s=0.4, patience_s=1.2)


def need_a_browser() -> None:
    """Skip the test, in CI fail it, where there is no Chromium or nothing to drive it with."""
    try:
        browsing.program()
        command = [browsing.python(), "-P", "-c", "import pyppeteer.browser"]
        is_there = subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
        lack = "" if is_there else f"pyppeteer is missing: run `{browsing.INSTALL}`"
    except BrowserMissingError as error:
        lack = error.message
    if lack and os.environ.get("CI"):
        pytest.fail(lack)
    if lack:
        pytest.skip(lack)


@contextmanager
def browsing_with(**limits: Any) -> Iterator[Browsers]:
    """Give browsers of the test's own."""
    browsers = Browsers(**limits)
    try:
        yield browsers
    finally:
        browsers.close()


def seen(job: JobContext, browsers: Browsers, page_url: str, **more: Any) -> Visit:
    """Visit a page as the download does; the file is beside the page unless said otherwise."""
    file_url = more.pop("file_url", f"{page_url.rpartition('/')[0]}/film.mp4")
    more = {"waits": QUICK} | more
    with visit(job, page_url=page_url, file_url=file_url, browsers=browsers, **more) as visited:
        return visited


def site(pages: Mapping[str, str | Behaviour]) -> Behaviour:
    """Serve pages by path: HTML, or a behaviour of its own, which gets the connection with the request unread."""

    def behave(receiver: Receiver, connection: Any) -> None:
        line = connection.recv(4096, 2).split(b"\r\n")[0].decode()  # 2: MSG_PEEK
        path = line.split(" ")[1].partition("?")[0] if line else ""
        page = pages.get(path)
        if page is None:
            answering("404 Not Found")(receiver, connection)
        elif callable(page):
            page(receiver, connection)
        else:
            answering("200 OK", page.encode(), "Content-Type: text/html")(receiver, connection)

    return behave


def cookies_of(visited: Visit) -> dict[str, str]:
    """Return the cookies' names and values."""
    return {cookie["name"]: cookie["value"] for cookie in visited.cookies}


def sent_cookies(receiver: Receiver, path: str) -> list[str]:
    """Return the Cookie header of each request for a path."""
    return [request.headers.get("cookie", "") for request in receiver.requests if request.line.split(" ")[1] == path]


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the live processes that name a folder: the driver, the browser and its own."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in words):
            found.append(process)
    return found


def profiles_in(root: Path) -> list[Path]:
    """Return the profiles below an inline job's root."""
    return sorted(root.glob(".workplatform/work/browser/profile-*"))
