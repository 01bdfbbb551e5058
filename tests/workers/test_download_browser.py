"""Downloads whose page has to be visited first, by real Chromium."""

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.receiver import Receiver, receiving
from tests.workers._origins import CONTENT, head_of
from tests.workers._pages import need_a_browser, site
from workers.download import download
from workplatform.errors import SourceRefusedError
from workplatform.testing import run_inline

PAGE = "<title>Film</title><script>setTimeout(() => {document.cookie = 'pass=yes; path=/'}, 300)</script>"


def for_the_pass(receiver: Receiver, connection: socket.socket) -> None:
    """Give the film to whoever brings the cookie that the page sets by JavaScript."""
    request = receiver.read(connection)
    has_pass = "pass=yes" in request.headers.get("cookie", "")
    status, body = ("200 OK", CONTENT) if has_pass else ("403 Forbidden", b"")
    connection.sendall(head_of(status, {"Content-Length": str(len(body)), "Content-Type": "video/mp4"}) + body)


@pytest.mark.parametrize("how", [{"usePuppeteer": True}, {}])
def test_the_browser_opens_what_the_host_refuses_to_strangers(how: dict[str, Any], tmp_path: Path) -> None:
    need_a_browser()
    with receiving(site({"/page": PAGE, "/film.mp4": for_the_pass})) as receiver:
        payload = {"pageUrl": f"{receiver.url}/page", "fileUrl": f"{receiver.url}/film.mp4", "destPath": "film.mp4"}
        result = run_inline(download, payload | how, root=tmp_path)
        films = [request for request in receiver.requests if "film.mp4" in request.line]
        page = next(request for request in receiver.requests if "/page" in request.line)
    assert result["size"] == len(CONTENT)
    assert (tmp_path / "film.mp4").read_bytes() == CONTENT
    assert len(films) == (1 if how else 2), "without being told, the browser comes after a refusal only"
    assert films[-1].headers["user-agent"] == page.headers["user-agent"]
    assert films[-1].headers["referer"] == payload["pageUrl"]


def test_told_not_to_no_page_is_visited(tmp_path: Path) -> None:
    with receiving(site({"/page": PAGE, "/film.mp4": for_the_pass})) as receiver:
        payload = {"pageUrl": f"{receiver.url}/page", "fileUrl": f"{receiver.url}/film.mp4", "destPath": "film.mp4"}
        with pytest.raises(SourceRefusedError, match="403 Forbidden"):
            run_inline(download, payload | {"usePuppeteer": False}, root=tmp_path)
        assert len(receiver.requests) == 1
