"""Putting files: whole, checked, limited, and broken off in every way."""

import base64
import hashlib
import os
import random
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from tests.api.filing import answer, connected, everything, head, on_disk, on_their_way
from tests.api.running import Running, running_both
from tests.waiting import eventually

LIMIT = 3_000_000
SOME = random.Random(1).randbytes(1_000_000)  # the same in each process: tests are named by its digests


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An API that takes files of up to three megabytes."""
    with running_both(tmp_path_factory.mktemp("putting"), MAX_UPLOAD_BYTES=str(LIMIT)) as running:
        yield running


def put(api: Running, name: str, body: object = SOME, **headers: str) -> requests.Response:
    """Put a file."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return requests.put(f"{api.url}/api/files/{name}", data=body, headers=named, timeout=20)  # type: ignore[arg-type]


def stored(api: Running, name: str) -> bytes:
    """The file on disk."""
    return (api.settings.files_dir / name).read_bytes()


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def test_a_file_is_put_whole_and_its_path_is_for_payloads(api: Running) -> None:
    response = put(api, "photos/über 1.jpg")
    assert response.status_code == 201, response.text
    document = response.json()
    assert document == {
        "name": "photos/über 1.jpg",
        "path": "data/files/photos/über 1.jpg",
        "size": len(SOME),
        "type": "image/jpeg",
        "modifiedAt": document["modifiedAt"],
        "etag": response.headers["ETag"],
        "url": "/api/files/photos/%C3%BCber%201.jpg",
    }
    assert response.headers["Location"] == document["url"]
    assert stored(api, "photos/über 1.jpg") == SOME
    assert requests.get(f"{api.url}{document['url']}", timeout=10).content == SOME
    assert put(api, "photos/über 1.jpg", b"another").status_code == 200
    assert stored(api, "photos/über 1.jpg") == b"another"


@pytest.mark.parametrize("body", [b"", b"x", SOME])
def test_a_file_of_any_size_is_put_and_given_back(api: Running, body: bytes) -> None:
    assert put(api, "any.bin", body).json()["size"] == len(body)
    assert requests.get(f"{api.url}/api/files/any.bin", timeout=10).content == body


def test_a_chunked_body_is_a_file_too(api: Running) -> None:
    assert put(api, "chunked.bin", iter([SOME[:10], SOME[10:500_000], SOME[500_000:]])).status_code == 201
    assert stored(api, "chunked.bin") == SOME


@pytest.mark.parametrize("body", [b"z" * (LIMIT + 1), iter([b"z" * 1_000_000] * 4)], ids=["length", "chunked"])
def test_more_than_the_limit_is_refused_and_leaves_nothing(api: Running, body: object) -> None:
    response = put(api, "large.bin", body)
    assert response.status_code == 413, response.text
    assert str(LIMIT) in response.json()["error"]
    assert not (api.settings.files_dir / "large.bin").exists()
    assert eventually(lambda: not on_their_way(api))


def test_who_asks_first_is_refused_before_anything_is_sent(api: Running) -> None:
    with connected(api) as sock:
        sock.sendall(head("PUT", "/api/files/x", Content_Length=LIMIT + 1, Expect="100-continue"))
        assert answer(sock)[0] == 413
    with connected(api) as sock:
        sock.sendall(head("PUT", "/api/files/asked.txt", Content_Length=2, Expect="100-continue"))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"ok")
        assert answer(sock)[0] == 201


def test_a_refused_body_of_many_megabytes_does_not_hide_the_answer(api: Running) -> None:
    with connected(api) as sock:
        sock.sendall(head("PUT", "/api/files/x", Content_Length=50_000_000))
        sock.sendall(bytes(50_000_000))
        assert answer(sock)[0] == 413


def test_no_space_is_told_before_the_file_is_sent(tmp_path: Path) -> None:
    with running_both(tmp_path, MAX_UPLOAD_BYTES=str(1 << 62)) as api, connected(api) as sock:
        sock.sendall(head("PUT", "/api/files/x", Content_Length=1 << 60))
        status, body = answer(sock)
        assert status == 507
        assert b"no_space" in body


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Digest", f"SHA-256={b64(hashlib.sha256(SOME).digest())}"),
        ("Digest", f"unixsum=30637, sha-512={b64(hashlib.sha512(SOME).digest())}"),
        ("Repr-Digest", f"sha-256=:{b64(hashlib.sha256(SOME).digest())}:"),
        ("Content-Digest", f"sha-512=:{b64(hashlib.sha512(SOME).digest())}:"),
        ("Content-MD5", b64(hashlib.md5(SOME, usedforsecurity=False).digest())),
    ],
)
def test_a_checksum_is_checked_if_it_is_sent(api: Running, header: str, value: str) -> None:
    assert put(api, "summed.bin", **{header: value}).ok
    wrong = put(api, "wrong.bin", SOME[:-1] + b"?", **{header: value})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "checksum")
    assert wrong.json()["errors"][0]["header"] == header
    assert put(api, "wrong.bin", iter([SOME[:-1], b"?"]), **{header: value}).status_code == 400
    assert not (api.settings.files_dir / "wrong.bin").exists()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Digest", "crc32c=AAAAAA=="),
        ("Digest", "SHA-256=%%%"),
        ("Digest", "SHA-256=AAAA"),
        ("Repr-Digest", "sha-256=AAAA"),
        ("Content-MD5", "short"),
    ],
)
def test_a_checksum_that_cannot_be_checked_is_refused(api: Running, header: str, value: str) -> None:
    response = put(api, "x.bin", **{header: value})
    assert (response.status_code, response.json()["code"]) == (400, "bad_header")


@pytest.mark.parametrize(
    "name",
    [
        "..%2fx",
        "a/../x",
        "a/./x",
        ".hidden",
        "a/.partial/x",
        "a%00b",
        "a%5cb",
        "a%0ab",
        "x" * 256,
        "a/" * 600 + "a",
        "a/",
        "a//b",
        "/a",
    ],
)
def test_a_name_that_cannot_be_is_refused_by_field(api: Running, name: str) -> None:
    before = on_disk(api)
    with connected(api) as sock:
        sock.sendall(head("PUT", f"/api/files/{name}", Content_Length=1) + b"x")
        status, body = answer(sock)
    assert status == 400, body
    assert b'"pointer":"/path"' in body
    assert on_disk(api) == before


def test_a_file_where_a_folder_is_needed_and_the_other_way_round_is_told(api: Running) -> None:
    assert put(api, "plain", b"x").ok
    assert put(api, "folder/inner", b"x").ok
    for name in ("plain/inner", "folder"):
        response = put(api, name)
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (409, "/path")
    assert stored(api, "plain") == b"x"


def test_no_link_is_followed(api: Running, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    files = api.settings.files_dir
    files.mkdir(parents=True, exist_ok=True)
    (files / "out").symlink_to(tmp_path)
    (files / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(files / "pipe")
    for name in ("out/secret", "link", "pipe", "out"):
        assert requests.get(f"{api.url}/api/files/{name}", timeout=10).status_code == 404
    assert put(api, "out/secret").status_code == 409
    assert put(api, "link", b"new").ok
    assert stored(api, "link") == b"new" and not (files / "link").is_symlink()
    assert (tmp_path / "secret").read_text() == "secret"
    listed = requests.get(f"{api.url}/api/files", timeout=10).json()["files"]
    assert not {"out/secret", "pipe"} & {file["name"] for file in listed}


def test_a_file_is_only_made_or_only_replaced_if_that_is_asked_for(api: Running) -> None:
    assert put(api, "once.txt", b"1", If_None_Match="*").status_code == 201
    assert put(api, "once.txt", b"2", If_None_Match="*").status_code == 412
    etag = put(api, "once.txt", b"3").headers["ETag"]
    assert put(api, "once.txt", b"4", If_Match='"another"').status_code == 412
    assert put(api, "once.txt", b"5", If_Match=etag).status_code == 200
    assert put(api, "never.txt", b"6", If_Match="*").status_code == 412
    assert stored(api, "once.txt") == b"5"


def test_of_many_that_make_a_file_at_the_same_time_one_is_first(api: Running) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = list(
            pool.map(lambda n: put(api, "race", bytes([n]) * 300_000, If_None_Match="*").status_code, range(8))
        )
    assert sorted(codes) == [201] + [412] * 7


def test_of_many_that_replace_a_file_at_the_same_time_the_last_one_wins_whole(api: Running) -> None:
    bodies = [bytes([n]) * 1_000_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda body: put(api, "contested", body).ok, bodies))
        assert stored(api, "contested") in bodies


def test_an_upload_that_breaks_off_leaves_nothing_and_what_was_there_stays(api: Running) -> None:
    assert put(api, "kept.bin", b"old").ok
    with connected(api) as sock:
        sock.sendall(head("PUT", "/api/files/kept.bin", Content_Length=1_000_000) + SOME[:600_000])
        eventually(lambda: [path for path in on_their_way(api) if path.stat().st_size == 600_000])
        assert requests.get(f"{api.url}/api/files/kept.bin", timeout=10).content == b"old"
    eventually(lambda: not on_their_way(api))
    assert stored(api, "kept.bin") == b"old"


def test_a_length_that_is_longer_than_the_body_is_an_error(api: Running) -> None:
    with connected(api) as sock:
        sock.sendall(head("PUT", "/api/files/short.bin", Content_Length=1_000_000) + SOME[:600_000])
        sock.shutdown(socket.SHUT_WR)
        status, body = answer(sock)
    assert status == 400
    assert b"short_body" in body
    assert not (api.settings.files_dir / "short.bin").exists()


def test_a_chunked_body_without_its_end_is_an_error(api: Running) -> None:
    with connected(api) as sock:
        sock.sendall(head("PUT", "/api/files/short.bin", Transfer_Encoding="chunked") + b"5\r\nhello\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert answer(sock)[0] == 400
    assert not (api.settings.files_dir / "short.bin").exists()


def test_requests_that_follow_an_upload_on_its_connection_are_served(api: Running) -> None:
    follows = head("GET", "/api/files/one", Connection="close")
    with connected(api) as sock:
        sock.sendall(head("PUT", "/api/files/one", Content_Length=3) + b"one" + follows)
        _, first, second = everything(sock).split(b"HTTP/1.1 ")
    assert first.startswith(b"201 ")
    assert second.startswith(b"200 ") and second.endswith(b"\r\n\r\none")


def test_a_killed_api_leaves_nothing_behind_for_long(tmp_path: Path) -> None:
    with running_both(tmp_path) as api:
        with connected(api) as sock:
            sock.sendall(head("PUT", "/api/files/x", Content_Length=1_000_000) + SOME[:600_000])
            eventually(lambda: on_their_way(api))
            for process in psutil.Process(api.process.pid).children(recursive=True):
                process.send_signal(signal.SIGKILL)
        eventually(lambda: _is_served(api))
        assert put(api, "another", b"x").ok
        assert on_disk(api) == {"another"}


def _is_served(api: Running) -> bool:
    try:
        return requests.get(f"{api.url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


def test_a_file_is_removed_with_the_folders_that_it_leaves_empty(api: Running) -> None:
    assert put(api, "deep/down/a", b"x").ok and put(api, "deep/b", b"x").ok
    url = f"{api.url}/api/files"
    assert requests.delete(f"{url}/deep/down/a", headers={"If-Match": '"x"'}, timeout=10).status_code == 412
    assert requests.delete(f"{url}/deep/down/a", timeout=10).status_code == 204
    assert requests.delete(f"{url}/deep/down/a", timeout=10).status_code == 404
    assert requests.delete(f"{url}/deep", timeout=10).status_code == 409
    assert sorted(path.name for path in (api.settings.files_dir / "deep").iterdir()) == ["b"]
