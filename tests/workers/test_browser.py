"""Visits by real Chromium: what pages leave behind, what they cannot reach, and what ends with them."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.receiver import Receiver, answering, receiving, stalling
from tests.waiting import eventually
from tests.workers._pages import (
    browsing_with,
    cookies_of,
    need_a_browser,
    processes_of,
    profiles_in,
    seen,
    sent_cookies,
    site,
)
from workers._browser import Browsers
from workplatform.errors import BrowserError, Cancelled, SourceUnreachableError, UrlForbiddenError
from workplatform.outbound import Outbound
from workplatform.testing import inline_job

LATE_COOKIE = "<title>Film</title><script>setTimeout(() => {document.cookie = 'pass=yes; path=/'}, 300)</script>"
COOKIE = "<script>document.cookie = 'here=1; path=/'</script>"
CHALLENGE = """<title>Just a moment...</title><script>
setTimeout(() => {document.cookie = 'cleared=1; path=/'; location.href = '/film'}, 2000)</script>"""
NO_LOOPBACK = Outbound(allowed_hosts=("127.0.0.2",), allow_loopback=False)


def for_the_pass(receiver: Receiver, connection: socket.socket) -> None:
    """Give the film to whoever brings the cookie."""
    request = receiver.read(connection)
    has_pass = "pass=yes" in request.headers.get("cookie", "")
    status, body = ("200 OK", b"film") if has_pass else ("403 Forbidden", b"")
    connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)


@pytest.fixture(scope="module")
def browsers() -> Iterator[Browsers]:
    """One browser for the tests that leave it in order."""
    need_a_browser()
    with browsing_with() as browsers:
        yield browsers


def test_a_cookie_that_a_page_sets_by_javascript_opens_its_cdn(browsers: Browsers, tmp_path: Path) -> None:
    with receiving(site({"/page": LATE_COOKIE, "/film.mp4": for_the_pass})) as receiver, inline_job(tmp_path) as run:
        visited = seen(run.job, browsers, f"{receiver.url}/page")
        with run.job.http() as session:
            session.headers["User-Agent"] = visited.user_agent
            assert session.get(f"{receiver.url}/film.mp4").status_code == 403
            assert session.get(f"{receiver.url}/film.mp4", cookies=cookies_of(visited)).content == b"film"
    page, film = receiver.requests[0], receiver.requests[-1]
    assert film.headers["cookie"] == "pass=yes"
    assert film.headers["user-agent"] == page.headers["user-agent"] == visited.user_agent
    assert "Headless" not in visited.user_agent
    assert visited.title == "Film"


def test_a_challenge_is_waited_for(browsers: Browsers, tmp_path: Path) -> None:
    with receiving(site({"/page": CHALLENGE, "/film": "<title>Film</title>"})) as receiver, inline_job(tmp_path) as run:
        visited = seen(run.job, browsers, f"{receiver.url}/page")
    assert (visited.title, visited.url) == ("Film", f"{receiver.url}/film")
    assert cookies_of(visited) == {"cleared": "1"}


def test_cookies_of_one_visit_are_invisible_to_the_next(browsers: Browsers, tmp_path: Path) -> None:
    page = "<script>localStorage.x = (localStorage.x || '') + 'x'; document.cookie = 'seen=' + localStorage.x</script>"
    with receiving(site({"/page": page})) as receiver, inline_job(tmp_path) as run:
        first = seen(run.job, browsers, f"{receiver.url}/page")
        driver = browsers.current
        second = seen(run.job, browsers, f"{receiver.url}/page")
        assert browsers.current is driver
    assert cookies_of(first) == cookies_of(second) == {"seen": "x"}
    assert sent_cookies(receiver, "/page") == ["", ""]


def test_what_the_caller_gave_goes_to_the_hosts_it_named_only(browsers: Browsers, tmp_path: Path) -> None:
    given = {"X-Secret": "s", "User-Agent": "Mine/1", "Range": "bytes=0-"}
    with receiving(answering("200 OK", b"ok"), host="127.0.0.3") as other:
        page = f"<img src='{other.url}/pixel.gif'><title>x</title>"
        with receiving(site({"/page": page})) as receiver, inline_job(tmp_path) as run:
            url = f"{receiver.url}/page"
            cookies = [{"name": "session", "value": "a=b"}]
            visited = seen(run.job, browsers, url, headers=given, cookies=cookies, referer="http://from.test/")
    asked = receiver.requests[0].headers
    assert (asked["x-secret"], asked["cookie"], asked["referer"]) == ("s", "session=a=b", "http://from.test/")
    assert "range" not in asked
    assert asked["user-agent"] == visited.user_agent == "Mine/1"
    (pixel,) = other.requests
    assert "x-secret" not in pixel.headers
    assert "cookie" not in pixel.headers


def test_a_visit_to_the_file_itself_ends_at_its_head_and_keeps_its_cookies(browsers: Browsers, tmp_path: Path) -> None:
    film = stalling(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 99999999\r\n"
                    b"Set-Cookie: token=t; Path=/\r\n\r\n" + b"0" * 1000)  # fmt: skip
    with receiving(site({"/film.mp4": film})) as receiver, inline_job(tmp_path) as run:
        visited = seen(run.job, browsers, f"{receiver.url}/film.mp4")
    assert cookies_of(visited) == {"token": "t"}


def test_a_page_that_asks_questions_and_opens_windows_holds_nobody_up(browsers: Browsers, tmp_path: Path) -> None:
    page = "<title>x</title><script>alert(1); window.open('/other'); document.cookie = 'after=1'</script>"
    with receiving(site({"/page": page, "/other": "other"})) as receiver, inline_job(tmp_path) as run:
        assert cookies_of(seen(run.job, browsers, f"{receiver.url}/page")) == {"after": "1"}


def test_a_redirect_to_a_private_address_is_refused(browsers: Browsers, tmp_path: Path) -> None:
    with receiving(answering("200 OK", b"secret"), host="127.0.0.1") as inner:
        to_inner = answering("302 Found", b"", f"Location: {inner.url}/")
        with (
            receiving(to_inner, host="127.0.0.2") as outer,
            inline_job(tmp_path, outbound=NO_LOOPBACK) as run,
            pytest.raises(UrlForbiddenError, match=r"127\.0\.0\.1 has a loopback address"),
        ):
            seen(run.job, browsers, f"{outer.url}/page")
        assert inner.connections == 0
        assert outer.connections > 0


def test_what_a_page_loads_cannot_reach_a_private_address(browsers: Browsers, tmp_path: Path) -> None:
    with receiving(answering("200 OK", b"secret"), host="127.0.0.1") as inner:
        page = f"""<title>x</title><img src="{inner.url}/a"><script>
        const say = () => {{document.cookie = 'tried=1'}}
        fetch("{inner.url}/b", {{mode: "no-cors"}}).then(say, say);
        new WebSocket("ws://127.0.0.1:{inner.port}/c");
        new Image().src = "http://localhost:{inner.port}/d";
        </script>"""
        with (
            receiving(site({"/page": page}), host="127.0.0.2") as outer,
            inline_job(tmp_path, outbound=NO_LOOPBACK) as run,
        ):
            seen(run.job, browsers, f"{outer.url}/page")
        assert inner.connections == 0
        assert outer.connections > 0


def test_a_page_that_cannot_be_loaded_says_why(browsers: Browsers, tmp_path: Path) -> None:
    with receiving(answering()) as gone:
        url = f"{gone.url}/page"
    with inline_job(tmp_path) as run, pytest.raises(SourceUnreachableError, match=r"127\.0\.0\.1 .*refused"):
        seen(run.job, browsers, url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "chrome://version", "http://user:secret@127.0.0.1/"])
def test_only_pages_of_the_web_are_visited(url: str, tmp_path: Path) -> None:
    with inline_job(tmp_path) as run, browsing_with() as unused, pytest.raises(UrlForbiddenError):
        seen(run.job, unused, url)


def test_cancelling_closes_the_page_at_once_and_leaves_the_browser(browsers: Browsers, tmp_path: Path) -> None:
    polling = "<title>x</title><script>setInterval(() => fetch('/tick?' + Math.random()), 50)</script>"
    pages = {"/page": polling, "/tick": "tick", "/film": LATE_COOKIE}
    with receiving(site(pages)) as receiver:
        with inline_job(tmp_path) as run:
            cancel = threading.Thread(
                target=lambda: eventually(lambda: len(receiver.requests) > 5) and run.pulse.stop(Cancelled())
            )
            cancel.start()
            with pytest.raises(Cancelled):
                seen(run.job, browsers, f"{receiver.url}/page")
            cancel.join()
            run.pulse._reason = None  # the rest of the block is not the job's
        driver = browsers.current
        ticks = len(receiver.requests)
        with inline_job(tmp_path) as run:
            assert cookies_of(seen(run.job, browsers, f"{receiver.url}/film")) == {"pass": "yes"}
        assert browsers.current is driver
        assert len([request for request in receiver.requests[ticks:] if "tick" in request.line]) <= 1


def test_a_page_that_never_answers_is_cancelled_too(browsers: Browsers, tmp_path: Path) -> None:
    with receiving(stalling(b"")) as receiver, pytest.raises(Cancelled), inline_job(tmp_path) as run:
        cancel = threading.Thread(target=lambda: receiver.is_held.wait(10) and run.pulse.stop(Cancelled()))
        cancel.start()
        seen(run.job, browsers, f"{receiver.url}/page")


def test_a_browser_ends_after_some_visits_with_its_profile(tmp_path: Path) -> None:
    need_a_browser()
    with receiving(site({"/page": COOKIE})) as receiver, browsing_with(visits=2) as browsers:
        with inline_job(tmp_path) as run:
            seen(run.job, browsers, f"{receiver.url}/page")
            first = browsers.current
            assert first is not None
            assert len(profiles_in(tmp_path)) == 1
            seen(run.job, browsers, f"{receiver.url}/page")
        assert browsers.current is None
        assert first.is_gone
        assert not processes_of(tmp_path)
        assert not profiles_in(tmp_path)


def test_a_browser_that_died_is_replaced_and_its_profile_removed(tmp_path: Path) -> None:
    need_a_browser()
    with receiving(site({"/page": COOKIE})) as receiver, browsing_with() as browsers, inline_job(tmp_path) as run:
        seen(run.job, browsers, f"{receiver.url}/page")
        before = profiles_in(tmp_path)
        for process in processes_of(tmp_path):
            process.kill()
        assert cookies_of(seen(run.job, browsers, f"{receiver.url}/page")) == {"here": "1"}
        assert len(before) == len(profiles_in(tmp_path)) == 1
        assert before != profiles_in(tmp_path)


def test_a_browser_that_nobody_needs_ends(tmp_path: Path) -> None:
    need_a_browser()
    with receiving(site({"/page": COOKIE})) as receiver, browsing_with(idle_s=0.2) as browsers:
        with inline_job(tmp_path) as run:
            seen(run.job, browsers, f"{receiver.url}/page")
        eventually(lambda: not processes_of(tmp_path) and not profiles_in(tmp_path))


def test_a_page_that_makes_the_browser_grow_without_bounds_ends_it(tmp_path: Path) -> None:
    need_a_browser()
    page = """<script>const all = [];
    setInterval(() => {document.title = all.push(new Uint8Array(5e7).fill(1))}, 20)</script>"""
    with receiving(site({"/page": page})) as receiver, browsing_with(memory_bytes=300_000_000) as browsers:
        with inline_job(tmp_path) as run, pytest.raises(BrowserError):
            seen(run.job, browsers, f"{receiver.url}/page")
        assert not processes_of(tmp_path)
