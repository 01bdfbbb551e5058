"""Putting files piece by piece, over connections that break."""

import base64
import hashlib
import os
import time

import pytest
import requests

from api.files_uploads import Uploads
from tests.api.filing import connected, head, on_their_way
from tests.api.running import Running
from tests.waiting import eventually
from workplatform.storage.space import Limits

WHOLE = os.urandom(3_000_000)
TOTAL = len(WHOLE)
DIGEST = f"sha-256=:{base64.b64encode(hashlib.sha256(WHOLE).digest()).decode()}:"


def send(api: Running, name: str, first: int, last: int, **headers: str) -> requests.Response:
    """Put bytes of the file."""
    given = {
        "Content-Range": f"bytes {first}-{last}/{TOTAL}",
        **{key.replace("_", "-"): v for key, v in headers.items()},
    }
    return requests.put(f"{api.url}/api/files/{name}", data=WHOLE[first : last + 1], headers=given, timeout=20)


def held(api: Running, name: str, **headers: str) -> int:
    """How much the API says it has."""
    given = {"Content-Range": f"bytes */{TOTAL}", **{key.replace("_", "-"): v for key, v in headers.items()}}
    response = requests.put(f"{api.url}/api/files/{name}", headers=given, timeout=20)
    assert response.status_code == 308, response.text
    told = response.headers.get("Range", "")
    assert response.json() == {"received": int(told.rpartition("-")[2]) + 1 if told else 0}
    return int(response.json()["received"])


def test_pieces_become_a_file_when_the_last_one_is_there(api: Running) -> None:
    assert held(api, "pieces") == 0
    first = send(api, "pieces", 0, 999_999)
    assert (first.status_code, first.headers["Range"]) == (308, "bytes=0-999999")
    assert requests.get(f"{api.url}/api/files/pieces", timeout=10).status_code == 404
    assert send(api, "pieces", 1_000_000, 1_999_999).status_code == 308
    assert send(api, "pieces", 1_500_000, TOTAL - 1).status_code == 201
    assert requests.get(f"{api.url}/api/files/pieces", timeout=10).content == WHOLE
    assert not on_their_way(api)


def test_what_came_before_the_connection_broke_is_kept(api: Running) -> None:
    with connected(api) as sock:
        whole = head("PUT", "/api/files/broken", Content_Length=TOTAL, Content_Range=f"bytes 0-{TOTAL - 1}/{TOTAL}")
        sock.sendall(whole + WHOLE[:1_234_567])
        eventually(lambda: [path for path in on_their_way(api) if path.stat().st_size == 1_234_567])
    assert eventually(lambda: _free(api, "broken")) == 1_234_567
    assert send(api, "broken", 1_234_567, TOTAL - 1).status_code == 201
    assert requests.get(f"{api.url}/api/files/broken", timeout=10).content == WHOLE


def _free(api: Running, name: str) -> int:
    """How much is there, once the broken request has let go of it."""
    headers = {"Content-Range": f"bytes */{TOTAL}"}
    response = requests.put(f"{api.url}/api/files/{name}", headers=headers, timeout=20)
    assert response.status_code in (308, 409)
    return int(response.json().get("received", 0))


def test_two_that_send_one_file_at_the_same_time_do_not_mix(api: Running) -> None:
    with connected(api) as sock:
        sock.sendall(head("PUT", "/api/files/busy", Content_Length=TOTAL, Content_Range=f"bytes 0-{TOTAL - 1}/{TOTAL}"))
        eventually(lambda: on_their_way(api))
        other = send(api, "busy", 0, 9)
        assert (other.status_code, other.json()["code"]) == (409, "busy")
    eventually(lambda: not on_their_way(api))


def test_a_gap_is_refused_with_the_place_to_go_on_from(api: Running) -> None:
    assert send(api, "gap", 0, 99).status_code == 308
    response = send(api, "gap", 200, 299)
    assert (response.status_code, response.headers["Range"]) == (416, "bytes=0-99")
    assert held(api, "gap") == 100


def test_a_piece_that_is_longer_than_it_says_is_taken_back(api: Running) -> None:
    headers = {"Content-Range": "bytes 0-9/10"}
    url = f"{api.url}/api/files/overrun"
    response = requests.put(url, data=iter([b"0123456789", b"more"]), headers=headers, timeout=10)
    assert (response.status_code, response.json()["code"]) == (400, "bad_header")
    asked = requests.put(url, headers={"Content-Range": "bytes */10"}, timeout=10)
    assert asked.json() == {"received": 0}


def test_a_file_that_came_whole_to_a_killed_api_is_put_in_place_by_its_last_byte(api: Running) -> None:
    before = on_their_way(api)
    assert send(api, "killed", 0, 999).status_code == 308
    [begun] = set(on_their_way(api)) - set(before)
    begun.write_bytes(WHOLE)
    assert held(api, "killed") == TOTAL - 1
    assert send(api, "killed", TOTAL - 1, TOTAL - 1).status_code == 201
    assert requests.get(f"{api.url}/api/files/killed", timeout=10).content == WHOLE


def test_the_checksum_of_the_whole_is_checked_at_the_end(api: Running) -> None:
    wrong = DIGEST.replace(DIGEST[10:14], "AAAA")
    for digest, code in ((DIGEST, 201), (wrong, 400)):
        assert send(api, "summed", 0, 999, Repr_Digest=digest).status_code == 308
        assert send(api, "summed", 1000, TOTAL - 1, Repr_Digest=digest).status_code == code
    assert held(api, "summed", Repr_Digest=wrong) == 0
    assert requests.get(f"{api.url}/api/files/summed", timeout=10).content == WHOLE


def test_two_files_that_claim_to_differ_are_kept_apart(api: Running) -> None:
    assert send(api, "apart", 0, 999, Repr_Digest=DIGEST).status_code == 308
    assert held(api, "apart") == 0
    assert held(api, "apart", Repr_Digest=DIGEST) == 1000


def test_a_piece_with_a_wrong_checksum_is_taken_back(api: Running) -> None:
    assert send(api, "piece", 0, 99).status_code == 308
    md5 = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()
    assert send(api, "piece", 100, 199, Content_MD5=md5).json()["code"] == "checksum"
    assert held(api, "piece") == 100


@pytest.mark.parametrize(
    "text", ["bytes 0-9/5", "bytes 9-0/100", "bytes 0-9/*", "items 0-9/10", "bytes 0-9", "bytes 0-10/100", "bytes */x"]
)
def test_a_content_range_that_makes_no_sense_is_refused(api: Running, text: str) -> None:
    headers = {"Content-Range": text}
    response = requests.put(f"{api.url}/api/files/x", data=bytes(10), headers=headers, timeout=10)
    assert (response.status_code, response.json()["code"]) == (400, "bad_header")


def test_a_total_above_the_limit_is_refused_with_the_first_piece(api: Running) -> None:
    headers = {"Content-Range": f"bytes 0-9/{1 << 50}"}
    assert requests.put(f"{api.url}/api/files/x", data=bytes(10), headers=headers, timeout=10).status_code == 413


def test_an_upload_that_was_given_up_can_be_removed(api: Running) -> None:
    assert send(api, "given-up", 0, 99).status_code == 308
    assert requests.delete(f"{api.url}/api/files/given-up", timeout=10).status_code == 204
    assert held(api, "given-up") == 0


def test_what_nobody_went_on_with_for_a_day_is_swept(api: Running) -> None:
    assert send(api, "old", 0, 99).status_code == 308
    assert send(api, "young", 0, 99).status_code == 308
    folder = api.settings.partial_dir
    young, old = sorted(on_their_way(api), key=lambda path: path.stat().st_mtime)[-1:], on_their_way(api)
    for path in set(old) - set(young):
        os.utime(path, (0, time.time() - 25 * 3600))
    Uploads(api.settings.files_dir, aside=folder, shown="", limits=Limits()).prepare()
    assert on_their_way(api) == young
