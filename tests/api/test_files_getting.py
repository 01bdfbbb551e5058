"""Getting files: ranges, conditions, what a browser is told, and the list."""

import os
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

from api import create_app
from tests.api.running import Running, settings_in
from workplatform.bootstrap import build

WHOLE = bytes(range(256)) * 400
SIZE = len(WHOLE)


@pytest.fixture(scope="module")
def url(api: Running) -> str:
    """The address of a file."""
    response = requests.put(f"{api.url}/api/files/digits.bin", data=WHOLE, timeout=10)
    assert response.status_code == 201
    return f"{api.url}/api/files/digits.bin"


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers={key.replace("_", "-"): value for key, value in headers.items()}, timeout=10)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=100-", 100, SIZE - 1),
        ("bytes=-100", SIZE - 100, SIZE - 1),
        (f"bytes=-{SIZE + 5}", 0, SIZE - 1),
        (f"bytes=5-{SIZE + 5}", 5, SIZE - 1),
        ("BYTES = 1-2", 1, 2),
    ],
)
def test_a_range_is_given_alone(url: str, asked: str, first: int, last: int) -> None:
    response = get(url, Range=asked)
    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert response.content == WHOLE[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-5", "bytes=-", "bytes=a-b", "items=0-5", "bytes=0-1-2"])
def test_several_ranges_and_what_is_none_are_answered_with_the_whole(url: str, asked: str) -> None:
    response = get(url, Range=asked)
    assert (response.status_code, response.content) == (200, WHOLE)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE + 9}-{SIZE + 10}", "bytes=-0"])
def test_a_range_beyond_the_end_is_told_where_the_end_is(url: str, asked: str) -> None:
    response = get(url, Range=asked)
    assert (response.status_code, response.headers["Content-Range"]) == (416, f"bytes */{SIZE}")
    assert response.headers["Content-Type"] == "application/problem+json"


def test_who_has_the_file_already_gets_nothing(url: str) -> None:
    whole = get(url)
    etag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    for headers in (
        {"If_None_Match": etag},
        {"If_None_Match": f'"x", W/{etag}'},
        {"If_None_Match": "*"},
        {"If_Modified_Since": date},
        {"If_None_Match": etag, "Range": "bytes=0-1"},
    ):
        response = get(url, **headers)
        assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", etag)
    for headers in (
        {"If_None_Match": '"x"'},
        {"If_None_Match": '"x"', "If_Modified_Since": date},
        {"If_Modified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"If_Modified_Since": "nonsense"},
        {"If_Modified_Since": "99999999999 Jan 01 00:00:00 2020"},
        {"If_Unmodified_Since": "99999999999 Jan 01 00:00:00 2020"},
        {"If_Match": etag},
    ):
        assert get(url, **headers).content == WHOLE
    assert get(url, If_Match='"x"').status_code == 412
    assert get(url, If_Match=f"W/{etag}").status_code == 412
    assert get(url, If_Unmodified_Since="Thu, 01 Jan 1970 00:00:00 GMT").status_code == 412


def test_a_range_of_another_version_is_answered_with_the_whole(api: Running) -> None:
    url = f"{api.url}/api/files/changing"
    old = requests.put(url, data=b"0123456789", timeout=10).headers["ETag"]
    date = get(url).headers["Last-Modified"]
    assert get(url, Range="bytes=5-", If_Range=old).content == b"56789"
    assert get(url, Range="bytes=5-", If_Range=date).content == b"56789"
    assert get(url, Range="bytes=5-", If_Range=f"W/{old}").content == b"0123456789"
    requests.put(url, data=b"abcdefghij", timeout=10)
    changed = get(url, Range="bytes=5-", If_Range=old)
    assert (changed.status_code, changed.content) == (200, b"abcdefghij")
    assert changed.headers["ETag"] != old
    assert get(url, Range="bytes=5-", If_Range="Thu, 01 Jan 1970 00:00:00 GMT").status_code == 200


def test_head_tells_what_get_would_and_gives_nothing(url: str) -> None:
    told = requests.head(url, headers={"Range": "bytes=0-5"}, timeout=10)
    assert (told.status_code, told.content, told.headers["Content-Length"]) == (200, b"", str(SIZE))
    got = get(url)
    for name in ("ETag", "Last-Modified", "Accept-Ranges", "Content-Type", "Content-Disposition"):
        assert told.headers[name] == got.headers[name]
    assert requests.head(f"{url}x", timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("name", "kind", "disposition"),
    [
        ("a.html", "text/html; charset=utf-8", "attachment"),
        ("a.svg", "image/svg+xml", "attachment"),
        ("a.js", "text/javascript; charset=utf-8", "attachment"),
        ("a.xml", "text/xml; charset=utf-8", "attachment"),
        ("a.webp", "image/webp", "inline"),
        ("a.mp4", "video/mp4", "inline"),
        ("a.m3u8", "application/vnd.apple.mpegurl", "inline"),
        ("a.ts", "video/mp2t", "inline"),
        ("a.tar.gz", "application/gzip", "attachment"),
        ("a", "application/octet-stream", "attachment"),
    ],
)
def test_no_file_runs_as_a_part_of_this_site(api: Running, name: str, kind: str, disposition: str) -> None:
    url = f"{api.url}/api/files/{name}"
    assert requests.put(url, data=b"<script>", timeout=10).ok
    headers = get(url).headers
    assert headers["Content-Type"] == kind
    assert headers["Content-Disposition"] == f'{disposition}; filename="{name}"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]


def test_any_name_is_told_safely(api: Running) -> None:
    url = f"{api.url}/api/files/%22a%22%3B%20%C3%A9%25.bin"
    assert requests.put(url, data=b"x", timeout=10).ok
    expected = "attachment; filename=\"_a_; __.bin\"; filename*=UTF-8''%22a%22%3B%20%C3%A9%25.bin"
    assert get(url).headers["Content-Disposition"] == expected


def test_files_are_listed_in_pages_by_name(here: Path) -> None:
    client = a_client(here)
    names = ["a", "b/1", "b/10", "b/2", "b-1", "c/d/e", "z"]
    for name in names:
        assert client.put(f"/api/files/{name}", data=name).status_code == 201
    (here / "data" / "files" / "c" / ".hidden").write_text("x")
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = client.get("/api/files", query_string={"limit": "2", "cursor": cursor}).get_json()
        assert len(page["files"]) <= 2
        seen += [file["name"] for file in page["files"]]
        cursor = page["nextCursor"]
    assert sorted(seen) == sorted(names)
    assert len(seen) == len(names)
    assert page["path"] == "data/files"
    below = client.get("/api/files?prefix=b/1").get_json()["files"]
    assert [(file["name"], file["size"], file["path"]) for file in below] == [
        ("b/1", 3, "data/files/b/1"),
        ("b/10", 4, "data/files/b/10"),
    ]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "cursor=../x"])
def test_a_wrong_parameter_of_the_list_is_refused(here: Path, query: str) -> None:
    assert a_client(here).get(f"/api/files?{query}").status_code == 400


def test_the_list_of_an_area_that_was_never_used_is_empty(here: Path) -> None:
    assert a_client(here).get("/api/files").get_json()["files"] == []


def test_outside_of_the_folder_that_relative_paths_start_from_the_path_is_absolute(here: Path) -> None:
    elsewhere = here / "elsewhere"
    settings = settings_in(here, DATA_DIR=str(elsewhere), ALLOWED_ROOTS=str(here / "media"))
    page = create_app(build(settings)).test_client().get("/api/files").get_json()
    assert page["path"] == f"{elsewhere}/files"


def test_the_files_need_the_key_like_everything_else(here: Path) -> None:
    client = create_app(build(settings_in(here, API_KEY="secret"))).test_client()
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert client.open("/api/files/x", method=method).status_code == 401
    assert client.post("/api/files").status_code == client.get("/api/files").status_code == 401
    assert client.put("/api/files/x", data="x", headers={"X-API-Key": "secret"}).status_code == 201


def test_a_page_of_another_origin_can_neither_send_nor_fetch(here: Path) -> None:
    client = a_client(here)
    foreign = {"Origin": "https://evil.example", "Host": "localhost"}
    assert client.post("/api/files", headers=foreign, content_type="multipart/form-data").status_code == 403
    assert client.put("/api/files/x", headers=foreign).status_code == 403
    assert client.get("/api/files/x", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def a_client(folder: Path) -> FlaskClient:
    """A client of an application of its own; the files need no store."""
    (folder / "data").mkdir(exist_ok=True)
    return create_app(build(settings_in(folder))).test_client()


def test_a_file_that_shrinks_while_it_is_sent_breaks_the_connection(api: Running) -> None:
    url = f"{api.url}/api/files/shrinking"
    assert requests.put(url, data=bytes(60_000_000), timeout=20).ok
    with requests.get(url, stream=True, timeout=20) as response:
        assert response.raw.read(1000)
        os.truncate(api.settings.files_dir / "shrinking", 1_000_000)
        with pytest.raises(requests.RequestException):
            for _ in response.iter_content(1 << 20):
                continue
