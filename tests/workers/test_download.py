"""The download job type against origins that behave: forms, names, encodings, types, secrets."""

import gzip
import hashlib
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.receiver import Receiver, answering, receiving
from tests.workers._origins import CONTENT, MODIFIED, PAGE, Origin, fetch, head_of, left_over, routing, sending
from workers._download_models import DownloadPayload
from workers.download import download
from workplatform.errors import (
    BadInputError,
    ChecksumError,
    JobError,
    RetryLater,
    SourceFailedError,
    SourceRefusedError,
    SourceUnreachableError,
    TooLargeError,
    UnexpectedContentError,
    UrlForbiddenError,
)
from workplatform.outbound import Outbound
from workplatform.registry import JobType, discover
from workplatform.testing import inline_job, run_inline


@pytest.mark.parametrize(
    "form",
    [
        {"url": "{}/file.mp4", "outputPath": "out.mp4", "headers": {}, "cookies": "a=b", "usePuppeteer": False},
        {"pageUrl": "{}/page", "fileUrl": "{}/file.mp4", "destPath": "out.mp4"},
        {"url": "{}/file.mp4", "destPath": "out.mp4", "referer": "{}/page"},
        {"url": "{}/file.mp4", "destPath": "out.mp4", "referer": ""},
    ],
)
def test_every_form_of_the_callers_brings_the_file(form: dict[str, Any], tmp_path: Path) -> None:
    with receiving(Origin()) as receiver:
        payload = {
            name: value.format(receiver.url) if isinstance(value, str) else value for name, value in form.items()
        }
        result = run_inline(download, payload, root=tmp_path)
    assert (tmp_path / "out.mp4").read_bytes() == CONTENT
    assert result == {
        "success": True,
        "outputPath": "out.mp4",
        "path": "out.mp4",
        "size": len(CONTENT),
        "contentType": "video/mp4",
        "resumedBytes": 0,
    }
    page = payload.get("pageUrl") or payload.get("referer") or None
    assert receiver.requests[0].headers.get("referer") == page
    assert left_over(tmp_path) == ["out.mp4"]


def test_the_time_of_the_file_is_that_of_the_original(tmp_path: Path) -> None:
    with receiving(Origin()) as receiver:
        fetch(tmp_path, f"{receiver.url}/f")
    moment = datetime.strptime(MODIFIED, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert (tmp_path / "file.bin").stat().st_mtime == moment.timestamp()


@pytest.mark.parametrize("said", ["", "yesterday", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_file_without_a_time_or_with_an_odd_one_arrives(said: str, tmp_path: Path) -> None:
    with receiving(Origin(headers={"Last-Modified": said} if said else {})) as receiver:
        assert fetch(tmp_path, f"{receiver.url}/f")["size"] == len(CONTENT)
    assert 0 < (tmp_path / "file.bin").stat().st_mtime <= datetime.now(UTC).timestamp()


@pytest.mark.parametrize(
    ("disposition", "path", "name"),
    [
        ('attachment; filename="a b.mp4"', "/x", "a b.mp4"),
        ("attachment; filename=plain.bin", "/x", "plain.bin"),
        ("attachment; filename=\"old.mp4\"; filename*=UTF-8''%e6%bc%a2.mp4", "/x", "漢.mp4"),
        ('attachment; filename="../../etc/passwd"', "/x", "passwd"),
        ('attachment; filename="..\\\\..\\\\boot.ini"', "/x", "boot.ini"),
        ('attachment; filename=".."', "/a/real.bin?token=1", "real.bin"),
        ("attachment; filename*=UTF-8''%2e%2e%2f%00evil", "/x", "_evil"),
        ('attachment; filename="CON.txt"', "/x", "_CON.txt"),
        ("inline", "/dir/%E6%BC%A2%20x.bin", "漢 x.bin"),
        ("", "/", "download"),
    ],
)
def test_in_a_folder_the_name_is_the_servers_made_safe(disposition: str, path: str, name: str, tmp_path: Path) -> None:
    headers = {"Content-Disposition": disposition} if disposition else {}
    with receiving(Origin(headers=headers)) as receiver:
        result = fetch(tmp_path, receiver.url + path, "folder/")
    assert result["outputPath"] == f"folder/{name}"
    assert left_over(tmp_path) == [f"folder/{name}"]


def test_a_name_of_any_length_fits_and_keeps_its_extension(tmp_path: Path) -> None:
    with receiving(Origin(headers={"Content-Disposition": f"attachment; filename={'n' * 500}.mp4"})) as receiver:
        path = fetch(tmp_path, receiver.url, "folder/")["outputPath"]
    assert path.endswith("nnn.mp4")
    assert len(path) < 255


def test_a_folder_that_is_there_needs_no_slash_and_may_be_a_root(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with receiving(Origin()) as receiver:
        assert fetch(tmp_path, f"{receiver.url}/a.bin", "there")["outputPath"] == "there/a.bin"
        assert fetch(tmp_path, f"{receiver.url}/a.bin", ".")["outputPath"] == "./a.bin"
    assert left_over(tmp_path) == ["a.bin", "there/a.bin"]


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "raw deflate"])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_what_comes_encoded_is_stored_decoded(coding: str, is_chunked: bool, tmp_path: Path) -> None:
    engine = zlib.compressobj(wbits={"deflate": 15, "raw deflate": -15}.get(coding, 31))
    coded = engine.compress(CONTENT) + engine.flush()
    head = {"Content-Encoding": coding.removeprefix("raw ")}
    head |= {"Transfer-Encoding": "chunked"} if is_chunked else {"Content-Length": str(len(coded))}
    body = chunked(coded) if is_chunked else coded
    with receiving(sending(head_of("200 OK", head), body)) as receiver:
        assert fetch(tmp_path, receiver.url)["size"] == len(CONTENT)
    assert receiver.requests[0].headers["accept-encoding"] == "identity"
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def chunked(body: bytes, size: int = 40_000) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_a_gzip_file_stays_one_though_its_server_calls_that_an_encoding(tmp_path: Path) -> None:
    coded = gzip.compress(CONTENT)
    head = head_of("200 OK", {"Content-Encoding": "gzip", "Content-Length": str(len(coded))})
    with receiving(sending(head, coded)) as receiver:
        fetch(tmp_path, receiver.url, "archive.tar.gz")
    assert (tmp_path / "archive.tar.gz").read_bytes() == coded


def test_an_encoding_that_cannot_be_undone_is_refused(tmp_path: Path) -> None:
    head = head_of("200 OK", {"Content-Encoding": "br", "Content-Length": "4"})
    with receiving(sending(head, b"xxxx")) as receiver, pytest.raises(UnexpectedContentError, match="'br'"):
        fetch(tmp_path, receiver.url)
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("body", [b"", CONTENT])
def test_a_chunked_body_and_one_that_ends_with_its_connection_arrive(body: bytes, tmp_path: Path) -> None:
    for head, sent in (({"Transfer-Encoding": "chunked"}, chunked(body)), ({"Connection": "close"}, body)):
        with receiving(sending(head_of("200 OK", head), sent)) as receiver:
            assert fetch(tmp_path, receiver.url, "file")["size"] == len(body)
        assert (tmp_path / "file").read_bytes() == body


def test_the_checksum_is_compared_and_another_file_is_not_kept(tmp_path: Path) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    with receiving(Origin()) as receiver:
        fetch(tmp_path, receiver.url, "good", sha256=digest.upper())
        with pytest.raises(ChecksumError, match=digest):
            fetch(tmp_path, receiver.url, "bad", sha256="0" * 64)
    assert left_over(tmp_path) == ["good"]


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({"name": "v.mp4"}, "text/html", "got a web page: 'Just a moment...'"),
        ({"name": "v.mp4"}, "video/mp4", "got a web page: 'Just a moment...'"),
        ({"name": "v", "expectType": "video/*"}, "text/html; charset=utf-8", "got a web page: 'Just a moment...'"),
    ],
)
def test_a_web_page_in_the_place_of_a_file_is_refused(
    fields: dict[str, Any], kind: str, said: str, tmp_path: Path
) -> None:
    page = answering("200 OK", PAGE, f"Content-Type: {kind}")
    with receiving(page) as receiver, pytest.raises(UnexpectedContentError) as failure:
        fetch(tmp_path, receiver.url, **fields)
    assert failure.value.message == said
    assert left_over(tmp_path) == []


def test_a_web_page_that_is_wanted_arrives(tmp_path: Path) -> None:
    with receiving(answering("200 OK", PAGE, "Content-Type: text/html")) as receiver:
        for name in ("page.html", "page"):
            assert fetch(tmp_path, receiver.url, name)["contentType"] == "text/html"


MP4 = b"\x00\x00\x00\x20ftypisom" + b"v" * 2000
KINDS = [
    ("video/mp4", MP4, "video/*", True),
    ("application/octet-stream", MP4, "video/*", True),
    ("text/plain", MP4, "video/mp4", True),
    ("application/octet-stream", b"\xff\xd8\xff" + b"j" * 2000, "video/*", False),
    ("image/jpeg", b"\xff\xd8\xff" + b"j" * 2000, "image/png, image/jpeg", True),
    ("application/json", b'{"error": "no"}', "video/*", False),
    ("", b"?" * 2000, "video/*", True),
]


@pytest.mark.parametrize(("said", "body", "expected", "fits"), KINDS)
def test_the_type_that_is_expected_is_required(
    said: str, body: bytes, expected: str, fits: bool, tmp_path: Path
) -> None:
    with receiving(answering("200 OK", body, f"Content-Type: {said}")) as receiver:
        if fits:
            assert fetch(tmp_path, receiver.url, "f", expectType=expected)["size"] == len(body)
        else:
            with pytest.raises(UnexpectedContentError, match="not video"):
                fetch(tmp_path, receiver.url, "f", expectType=expected)


def test_an_empty_file_is_none_where_a_video_is_wanted(tmp_path: Path) -> None:
    with receiving(answering("200 OK", b"")) as receiver:
        with pytest.raises(UnexpectedContentError, match="empty"):
            fetch(tmp_path, receiver.url, "v.mp4")
        assert fetch(tmp_path, receiver.url, "notes.txt")["size"] == 0


STATUSES: list[tuple[str, type[JobError], bool]] = [
    ("401 Unauthorized", SourceRefusedError, False),
    ("403 Forbidden", SourceRefusedError, False),
    ("404 Not Found", SourceRefusedError, False),
    ("410 Gone", SourceRefusedError, False),
    ("304 Not Modified", SourceRefusedError, False),
    ("204 No Content", SourceRefusedError, False),
    ("408 Request Timeout", RetryLater, True),
    ("429 Too Many Requests", RetryLater, True),
    ("500 Oops", SourceFailedError, True),
    ("503 Service Unavailable", SourceFailedError, True),
    ("206 Partial Content", UnexpectedContentError, False),
]


@pytest.mark.parametrize(("status", "kind", "retryable"), STATUSES)
def test_a_status_decides_whether_a_retry_can_help(
    status: str, kind: type[JobError], retryable: bool, tmp_path: Path
) -> None:
    with receiving(answering(status)) as receiver, pytest.raises(kind) as failure:
        fetch(tmp_path, receiver.url)
    assert failure.value.retryable is retryable
    assert receiver.connections == 1


def test_a_refusal_tells_the_title_of_its_page(tmp_path: Path) -> None:
    said = r"answered 403 Forbidden: 'Just a moment\.\.\.'"
    page = answering("403 Forbidden", PAGE, "Content-Type: text/html")
    with receiving(page) as receiver, pytest.raises(SourceRefusedError, match=said):
        fetch(tmp_path, receiver.url)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_retry_after_decides_the_next_attempt(status: str, tmp_path: Path) -> None:
    with receiving(answering(status, b"", "Retry-After: 120")) as receiver, pytest.raises(RetryLater) as failure:
        fetch(tmp_path, receiver.url)
    assert failure.value.data["delay_s"] == 120


def test_a_host_that_is_down_or_speaks_no_http_is_unreachable(tmp_path: Path) -> None:
    with receiving(sending(b"SSH-2.0-OpenSSH_9.2\r\n")) as receiver, pytest.raises(SourceUnreachableError):
        fetch(tmp_path, receiver.url)
    with pytest.raises(SourceUnreachableError, match="Connection refused"):
        fetch(tmp_path, receiver.url)


SECRETS: dict[str, Any] = {
    "headers": {"Authorization": "Bearer k", "X-Key": "k", "User-Agent": "Mine/1"},
    "cookies": {"sid": "s3cret"},
}


def test_headers_and_cookies_are_sent_and_a_redirect_on_the_host_keeps_them(tmp_path: Path) -> None:
    moved = sending(head_of("302 Found", {"Location": "/file", "Set-Cookie": "pass=1", "Content-Length": "0"}))
    with receiving(routing({"/": moved, "/file": Origin()})) as receiver:
        fetch(tmp_path, receiver.url + "/", **SECRETS)
    first, second = receiver.requests
    assert first.headers["cookie"] == "sid=s3cret"
    assert second.headers["cookie"] == "sid=s3cret; pass=1"
    for request in (first, second):
        assert (request.headers["authorization"], request.headers["x-key"]) == ("Bearer k", "k")
        assert request.headers["user-agent"] == "Mine/1"


@pytest.mark.parametrize("cookies", ["sid=s3cret", {"sid": "s3cret"}, [{"name": "sid", "value": "s3cret"}]])
def test_another_host_gets_neither_headers_nor_cookies_and_nothing_when_it_sends_back(
    cookies: object, tmp_path: Path
) -> None:
    with receiving(lambda *_: None) as reserved:
        pass
    routes: dict[str, Any] = {}
    with receiving(routing(routes)) as home, receiving(routing(routes), host="127.0.0.2", port=reserved.port) as other:
        routes["/start"] = sending(head_of("301 Moved", {"Location": f"{other.url}/there", "Content-Length": "0"}))
        routes["/there"] = sending(head_of("307 Moved", {"Location": f"{home.url}/file", "Content-Length": "0"}))
        routes["/file"] = Origin()
        fetch(tmp_path, f"{home.url}/start", **(SECRETS | {"cookies": cookies}))
    assert home.requests[0].headers["cookie"] == "sid=s3cret"
    for request in (*other.requests, home.requests[1]):
        assert not {"cookie", "authorization", "x-key"} & request.headers.keys()
        assert request.headers["user-agent"] == "Mine/1"


def test_a_cookie_goes_to_the_domain_that_it_names(tmp_path: Path) -> None:
    cookies = [
        {"name": "home", "value": "1", "domain": "127.0.0.1", "httpOnly": True, "sameSite": "Lax"},
        {"name": "cdn", "value": "2", "domain": "127.0.0.2", "path": "/f"},
        {"name": "safe", "value": "3", "secure": True},
    ]
    with receiving(Origin(), host="127.0.0.2") as other:
        moved = sending(head_of("302 Found", {"Location": f"{other.url}/f/x", "Content-Length": "0"}))
        with receiving(moved) as home:
            fetch(tmp_path, home.url, cookies=cookies)
    assert home.requests[0].headers["cookie"] == "home=1"
    assert other.requests[0].headers["cookie"] == "cdn=2"


def test_redirects_that_lead_in_a_circle_end_with_a_sentence(tmp_path: Path) -> None:
    again = sending(head_of("302 Found", {"Location": "/again", "Content-Length": "0"}))
    with (
        receiving(again) as receiver,
        pytest.raises(SourceRefusedError, match="redirects more than 10 times; it leads"),
    ):
        fetch(tmp_path, receiver.url)
    assert receiver.connections == 11


@pytest.mark.parametrize(
    "target", ["http://10.1.2.3/f", "http://169.254.169.254/latest", "file:///etc/passwd", "ftp://x/"]
)
def test_a_redirect_to_where_nobody_may_call_is_refused(target: str, tmp_path: Path) -> None:
    moved = sending(head_of("302 Found", {"Location": target, "Content-Length": "0"}))
    with receiving(moved) as receiver, pytest.raises(UrlForbiddenError):
        fetch(tmp_path, receiver.url)


def test_without_leave_for_loopback_the_first_hop_is_refused_too(tmp_path: Path) -> None:
    strict = Outbound(allowed_hosts=(), allow_loopback=False)
    declared: JobType = discover(["workers"])["download"]
    with receiving(Origin()) as receiver, inline_job(tmp_path, outbound=strict) as run:
        payload = declared.payload_model.model_validate({"url": receiver.url, "outputPath": "x"})
        with pytest.raises(UrlForbiddenError):
            declared.handler(payload, run.job)
        assert receiver.connections == 0


def test_the_body_of_a_redirect_is_not_read(tmp_path: Path) -> None:
    def flood(receiver: Receiver, connection: Any) -> None:
        receiver.read(connection)
        connection.sendall(head_of("302 Found", {"Location": "/file", "Content-Length": "100000000000"}))
        while not receiver.closing.is_set():
            connection.sendall(b"x" * 65536)

    with receiving(routing({"/": flood, "/file": Origin()})) as receiver:
        assert fetch(tmp_path, receiver.url + "/")["size"] == len(CONTENT)


def test_a_file_over_the_limit_is_refused_before_and_while_it_comes(tmp_path: Path) -> None:
    with receiving(Origin()) as receiver, pytest.raises(TooLargeError, match="200 kB"):
        fetch(tmp_path, receiver.url, maxBytes=200_000)
    unknown = sending(head_of("200 OK", {"Connection": "close"}), CONTENT)
    with receiving(unknown) as receiver, pytest.raises(TooLargeError):
        fetch(tmp_path, receiver.url, maxBytes=200_000)
    assert left_over(tmp_path) == []


def test_a_file_of_just_the_limit_arrives(tmp_path: Path) -> None:
    with receiving(Origin()) as receiver:
        assert fetch(tmp_path, receiver.url, maxBytes=len(CONTENT))["success"] is True


def test_an_output_that_cannot_be_is_refused_before_anybody_is_called(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with receiving(Origin()) as receiver:
        with pytest.raises(BadInputError):
            fetch(tmp_path, receiver.url, "file/x")
        assert receiver.connections == 0


def test_stages_and_progress_are_told(tmp_path: Path) -> None:
    with receiving(Origin()) as receiver, inline_job(tmp_path) as run:
        payload = {"url": receiver.url, "outputPath": "x.bin", "sha256": hashlib.sha256(CONTENT).hexdigest()}
        download(DownloadPayload.model_validate(payload), run.job)
        stages = run.pulse.stages_ms
        run.look()
    assert set(stages) == {"connecting", "downloading"}
    assert run.told[-1] == (100.0, "verifying", "300 kB, application/octet-stream")
