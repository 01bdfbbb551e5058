"""Files from a form."""

import base64
import hashlib
import os

import pytest
import requests

from tests.api.filing import answer, connected, head, on_disk, on_their_way
from tests.api.running import Running
from tests.waiting import eventually

PHOTO = os.urandom(2_500_000)


def post(api: Running, files: object, **fields: str) -> requests.Response:
    return requests.post(f"{api.url}/api/files", files=files, data=fields, timeout=20)  # type: ignore[arg-type]


def test_the_files_of_a_form_are_stored_by_their_names(api: Running) -> None:
    response = post(api, [("a", ("photo.jpg", PHOTO)), ("b", ("notes.txt", b"\r\n--notes\r\n"))])
    assert response.status_code == 201, response.text
    assert [(file["name"], file["size"]) for file in response.json()["files"]] == [
        ("photo.jpg", len(PHOTO)),
        ("notes.txt", 11),
    ]
    assert (api.settings.files_dir / "photo.jpg").read_bytes() == PHOTO
    assert (api.settings.files_dir / "notes.txt").read_bytes() == b"\r\n--notes\r\n"


def test_a_field_says_the_folder(api: Running) -> None:
    response = post(api, {"file": ("empty.bin", b"")}, folder="in/here")
    assert response.json()["files"][0]["path"] == "data/files/in/here/empty.bin"
    assert (api.settings.files_dir / "in/here/empty.bin").read_bytes() == b""


@pytest.mark.parametrize(
    ("files", "fields", "status"),
    [
        ({"file": ("../x", b"x")}, {}, 400),
        ({"file": (".bashrc", b"x")}, {}, 400),
        ({"file": ("ok", b"x")}, {"folder": "../up"}, 400),
        ({"file": ("ok", b"x")}, {"colour": "red"}, 400),
        ({}, {"folder": "x"}, 415),
        ([("a", ("same", b"x")), ("b", ("same", b"y"))], {}, 400),
        ([("a", ("fine", b"x")), ("b", ("", b"y"))], {}, 400),
        ([("a", ("both", b"x")), ("b", ("both/below", b"y"))], {}, 400),
        ([("a", ("two/below", b"x")), ("b", ("two", b"y"))], {}, 400),
    ],
)
def test_a_form_with_anything_wrong_stores_nothing(
    api: Running, files: object, fields: dict[str, str], status: int
) -> None:
    before = on_disk(api)
    response = post(api, files, **fields)
    assert response.status_code == status, response.text
    assert on_disk(api) == before


def test_a_form_that_breaks_off_stores_nothing(api: Running) -> None:
    part = b'--B\r\nContent-Disposition: form-data; name="f"; filename="cut.bin"\r\n\r\n'
    kind = "multipart/form-data; boundary=B"
    with connected(api) as sock:
        sock.sendall(head("POST", "/api/files", Content_Type=kind, Content_Length=len(part) + 5) + part + b"12345")
        status, body = answer(sock)
    assert status == 400, body
    with connected(api) as sock:
        sock.sendall(head("POST", "/api/files", Content_Type=kind, Content_Length=9_000_000) + part + PHOTO)
        eventually(lambda: on_their_way(api))
    eventually(lambda: not on_their_way(api))
    assert "cut.bin" not in on_disk(api)


def test_what_is_no_form_is_told_so(api: Running) -> None:
    url = f"{api.url}/api/files"
    assert requests.post(url, json={}, timeout=10).status_code == 415
    for kind, body in (("multipart/form-data", b"x"), ("multipart/form-data; boundary=B", b"nonsense")):
        response = requests.post(url, data=body, headers={"Content-Type": kind}, timeout=10)
        assert (response.status_code, response.json()["code"]) == (400, "bad_form")


def test_the_checksum_of_the_whole_form_is_checked(api: Running) -> None:
    request = requests.Request("POST", f"{api.url}/api/files", files={"f": ("summed.bin", PHOTO)}).prepare()
    assert isinstance(request.body, bytes)
    good = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    bad = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    with requests.Session() as session:
        request.headers["Content-Digest"] = f"sha-256=:{bad}:"
        assert session.send(request, timeout=10).json()["code"] == "checksum"
        assert "summed.bin" not in on_disk(api)
        request.headers["Content-Digest"] = f"sha-256=:{good}:"
        assert session.send(request, timeout=10).status_code == 201
