"""What a job has made in an S3 store."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests
from flask.testing import FlaskClient

from api import create_app
from tests.api.test_files_outputs import listed, made
from tests.running import free_port
from tests.storage.stores import BUCKET, Store, running_store
from workplatform.bootstrap import Platform


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with what two jobs have made."""
    with running_store(tmp_path_factory.mktemp("store")) as store:
        for key in ("one/photo.webp", "film/master.m3u8", "film/720p/0.ts", "filmed/other"):
            store.put(key, key.encode())
        yield store


def client_of(platform: Platform, stored: Store, **more: object) -> FlaskClient:
    """A client of an API that knows the store."""
    account = stored.account()
    names = ("endpoint", "region", "access_key_id", "secret_access_key", "buckets")
    known = {f"s3_{name}": getattr(account, name) for name in names}
    settings = platform.settings.model_copy(update={**known, **more})
    return create_app(replace(platform, settings=settings)).test_client()


def test_files_in_a_store_are_listed_with_an_address_that_anyone_may_read(platform: Platform, stored: Store) -> None:
    client = client_of(platform, stored)
    job_id = made(platform, client, (f"s3://{BUCKET}/one/photo.webp", False), (f"s3://{BUCKET}/film", True))
    files = listed(client, job_id)["files"]
    assert isinstance(files, list)
    assert [(file["name"], file["uri"], file["size"], file["type"]) for file in files] == [
        ("photo.webp", f"s3://{BUCKET}/one/photo.webp", 14, "image/webp"),
        ("film/720p/0.ts", f"s3://{BUCKET}/film/720p/0.ts", 14, "video/mp2t"),
        ("film/master.m3u8", f"s3://{BUCKET}/film/master.m3u8", 16, "application/vnd.apple.mpegurl"),
    ]
    for file in files:
        assert requests.get(file["url"], timeout=10).text == file["uri"].removeprefix(f"s3://{BUCKET}/")
        sent_there = client.get(f"/api/jobs/{job_id}/files/{file['name']}")
        assert (sent_there.status_code, requests.get(sent_there.headers["Location"], timeout=10).ok) == (307, True)


def test_a_public_address_is_preferred_to_a_signed_one(platform: Platform, stored: Store) -> None:
    client = client_of(platform, stored, s3_public_url="https://cdn.test/{bucket}")
    job_id = made(platform, client, (f"s3://{BUCKET}/film", True))
    files = listed(client, job_id)["files"]
    assert isinstance(files, list)
    assert files[0]["url"] == f"https://cdn.test/{BUCKET}/film/720p/0.ts"


def test_what_is_gone_or_in_a_bucket_that_is_not_allowed_is_left_out(platform: Platform, stored: Store) -> None:
    client = client_of(platform, stored)
    job_id = made(platform, client, (f"s3://{BUCKET}/gone.bin", False), ("s3://forbidden/x", False))
    assert listed(client, job_id)["files"] == []
    assert client.get(f"/api/jobs/{job_id}/files/x").status_code == 404


def test_a_name_that_climbs_out_of_a_folder_in_a_store_is_refused(platform: Platform, stored: Store) -> None:
    client = client_of(platform, stored)
    job_id = made(platform, client, (f"s3://{BUCKET}/film", True))
    answer = client.get(f"/api/jobs/{job_id}/files/film/../one/photo.webp")
    assert (answer.status_code, answer.get_json()["code"]) == (400, "bad_path")


def test_while_the_store_is_away_a_file_is_told_without_its_size(platform: Platform, stored: Store) -> None:
    client = client_of(platform, stored, s3_endpoint=f"http://127.0.0.1:{free_port()}")
    job_id = made(platform, client, (f"s3://{BUCKET}/one/photo.webp", False))
    files = listed(client, job_id)["files"]
    assert isinstance(files, list)
    assert [(file["name"], file["size"]) for file in files] == [("photo.webp", None)]
