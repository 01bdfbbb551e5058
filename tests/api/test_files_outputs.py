"""What a job has made, listed and fetched."""

import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.builders import a_claimant
from workplatform.bootstrap import Platform
from workplatform.states import Event, Status
from workplatform.store.records import Grant, Settlement


@pytest.fixture
def folder(platform: Platform) -> Path:
    """Where the jobs of this platform write."""
    root = platform.settings.allowed_roots[0]
    for path in ("out/photo.webp", "out/hls/master.m3u8", "out/hls/720p/0.ts", "out/hls/.job_x.1.0.part", "other.txt"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


def made(platform: Platform, client: FlaskClient, *outputs: tuple[str, bool]) -> str:
    """A job that has made these files and folders; returns its id."""
    job_id = str(client.post("/api/jobs", json={"type": "nap", "payload": {"path": "x"}}).get_json()["jobId"])
    grant = platform.store.claim(job_id, a_claimant(), claim="word", message=b"{}")
    assert isinstance(grant, Grant)
    committed = json.dumps([{"uri": uri, "directory": directory} for uri, directory in outputs]).encode()
    ending = Settlement(Status.COMPLETED, Event.COMPLETED, "attempt", result=b"{}", outputs=committed)
    assert platform.store.settle(job_id, grant.fence, ending).is_accepted
    return job_id


def listed(client: FlaskClient, job_id: str, query: str = "") -> dict[str, object]:
    """The answer to the list's request."""
    response = client.get(f"/api/jobs/{job_id}/files{query}")
    assert response.status_code == 200, response.text
    document: dict[str, object] = response.get_json()
    return document


def names(client: FlaskClient, job_id: str) -> list[str]:
    files = listed(client, job_id)["files"]
    assert isinstance(files, list)
    return [file["name"] for file in files]


def test_each_file_is_named_described_and_fetched(platform: Platform, client: FlaskClient, folder: Path) -> None:
    job_id = made(platform, client, ("out/photo.webp", False), (str(folder / "out/hls"), True))
    page = listed(client, job_id)
    files = page["files"]
    assert isinstance(files, list)
    assert (page["jobId"], page["total"], page["nextCursor"]) == (job_id, 3, None)
    assert files[0] == {
        "name": "photo.webp",
        "uri": "out/photo.webp",
        "size": 14,
        "type": "image/webp",
        "modifiedAt": files[0]["modifiedAt"],
        "url": f"/api/jobs/{job_id}/files/photo.webp",
    }
    assert [(file["name"], file["type"]) for file in files[1:]] == [
        ("hls/720p/0.ts", "video/mp2t"),
        ("hls/master.m3u8", "application/vnd.apple.mpegurl"),
    ]
    for file in files:
        response = client.get(file["url"])
        assert response.data.decode() == f"out/{file['name']}"
        assert response.headers["Content-Type"] == file["type"]
        assert client.get(file["url"], headers={"Range": "bytes=0-2"}).data == b"out"


def test_nothing_but_what_the_job_made_is_reached(platform: Platform, client: FlaskClient, folder: Path) -> None:
    (folder / "out/hls/link").symlink_to(folder / "other.txt")
    job_id = made(platform, client, ("out/photo.webp", False), ("out/hls", True))
    for name in ("other.txt", "hls", "hls/", "hls/link", "photo.webp/x", "hls/no", "out/photo.webp"):
        assert client.get(f"/api/jobs/{job_id}/files/{name}").status_code in (400, 404), name
    for name in ("hls/../../other.txt", "hls/..%2f..%2fother.txt", "hls/.job_x.1.0.part", "..", "%2fetc%2fpasswd"):
        assert client.get(f"/api/jobs/{job_id}/files/{name}").status_code in (400, 404), name


def test_what_lies_outside_of_the_roots_is_not_given(
    platform: Platform, client: FlaskClient, folder: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / "moved").unlink(missing_ok=True)
    (folder / "moved").symlink_to(secret)
    platform.settings.partial_dir.mkdir(parents=True, exist_ok=True)
    own = str(platform.settings.partial_dir / "x")
    Path(own).write_text("half of it")
    job_id = made(platform, client, (str(secret), False), ("moved", False), (own, False), ("/etc", True))
    assert names(client, job_id) == []
    for name in ("secret", "moved", "x", "etc/passwd"):
        assert client.get(f"/api/jobs/{job_id}/files/{name}").status_code == 404


def test_files_of_the_same_name_are_told_apart(platform: Platform, client: FlaskClient, folder: Path) -> None:
    (folder / "photo.webp").write_text("second")
    job_id = made(platform, client, ("out/photo.webp", False), ("photo.webp", False))
    assert names(client, job_id) == ["photo.webp", "2-photo.webp"]
    assert client.get(f"/api/jobs/{job_id}/files/2-photo.webp").data == b"second"


@pytest.mark.usefixtures("folder")
def test_what_has_been_removed_since_is_left_out(platform: Platform, client: FlaskClient) -> None:
    job_id = made(platform, client, ("out/photo.webp", False), ("gone.jpg", False), ("gone", True))
    assert names(client, job_id) == ["photo.webp"]
    assert client.get(f"/api/jobs/{job_id}/files/gone.jpg").status_code == 404


def test_many_files_come_in_pages(platform: Platform, client: FlaskClient, folder: Path) -> None:
    for number in range(5):
        (folder / "many").mkdir(exist_ok=True)
        (folder / "many" / f"{number}.ts").write_text("x")
    job_id = made(platform, client, ("many", True))
    first = listed(client, job_id, "?limit=2")
    assert (len(first["files"]), first["total"], first["nextCursor"]) == (2, 5, "many/1.ts")  # type: ignore[arg-type]
    last = listed(client, job_id, "?limit=3&cursor=many/1.ts")
    assert (len(last["files"]), last["nextCursor"]) == (3, None)  # type: ignore[arg-type]


def test_a_job_without_outputs_has_no_files_and_an_unknown_one_is_unknown(client: FlaskClient) -> None:
    job_id = client.post("/api/jobs", json={"type": "nap", "payload": {"path": "x"}}).get_json()["jobId"]
    assert names(client, job_id) == []
    for path in ("files", "files/x"):
        response = client.get(f"/api/jobs/job_00000000000000000000000000/{path}")
        assert (response.status_code, response.get_json(force=True)["code"]) == (404, "job_not_found")
