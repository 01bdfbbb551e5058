"""Tests of inputs and outputs in a store, against a real S3 server and one that fails."""

import os
import random
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.storage.stores import BUCKET, Fate, Store, every_third, proxied
from workplatform.errors import (
    BadInputError,
    Cancelled,
    InputNotFoundError,
    PlatformError,
    SourceRefusedError,
    StorageError,
    StorageRefusedError,
)
from workplatform.storage.s3 import Account
from workplatform.storage.source import opened
from workplatform.testing import InlineRun, inline_job

MIB = 1 << 20
LARGE = 20 * MIB + 17


def noise(size: int, seed: int = 1) -> bytes:
    """Return bytes in which no part is like another."""
    return random.Random(seed).randbytes(size)


def written(run: InlineRun, uri: str, body: bytes) -> None:
    """Plan an output and write it."""
    run.job.output(uri).path.write_bytes(body)


@contextmanager
def failing() -> Iterator[None]:
    """Let a job's handler fail in the end."""
    with pytest.raises(BadInputError):
        yield


@pytest.mark.parametrize("size", [0, 1, 8 * MIB, LARGE])
def test_an_object_arrives_as_a_local_file_with_the_time_it_was_made(s3: Store, tmp_path: Path, size: int) -> None:
    uri = s3.put("in/a film.mp4", body := noise(size))
    with inline_job(tmp_path, account=s3.account()) as run:
        path = run.job.input(uri)
        assert path.read_bytes() == body
        assert path.suffix == ".mp4"
        assert path.stat().st_mtime == s3.head("in/a film.mp4")["LastModified"].timestamp()
        assert run.job.input(uri) == path
    assert not path.exists()


@pytest.mark.parametrize("size", [1, 8 * MIB, LARGE])
def test_an_output_appears_in_the_store_with_its_type(s3: Store, tmp_path: Path, size: int) -> None:
    with inline_job(tmp_path, account=s3.account()) as run:
        written(run, f"s3://{BUCKET}/out/ä b.webp", body := noise(size))
        assert s3.names() == []
    assert s3.get("out/ä b.webp") == body
    assert s3.head("out/ä b.webp")["ContentType"] == "image/webp"
    assert (s3.uploads(), list(tmp_path.rglob("*.part"))) == ([], [])


def test_what_a_failed_job_has_sent_is_removed(s3: Store, tmp_path: Path) -> None:
    with failing(), inline_job(tmp_path, account=s3.account()) as run:
        written(run, f"s3://{BUCKET}/large.bin", noise(LARGE))
        run.files.send()
        assert s3.uploads() == ["large.bin"]
        raise BadInputError
    assert (s3.uploads(), s3.names()) == ([], [])
    assert not list((tmp_path / ".workplatform" / "uploads").iterdir())


def test_an_output_that_was_not_written_is_an_error(s3: Store, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="nothing was written"), inline_job(tmp_path, account=s3.account()) as run:
        run.job.output(f"s3://{BUCKET}/a.bin")
    assert s3.names() == []


@pytest.mark.parametrize(
    ("uri", "error", "sentence"),
    [
        (f"s3://{BUCKET}/none.mp4", InputNotFoundError, "there is no file s3://media/none.mp4"),
        ("s3://missing/a.mp4", StorageRefusedError, "there is no bucket missing"),
        ("s3://other/a.mp4", StorageRefusedError, "bucket other is not one of those that jobs may use"),
        (f"s3://{BUCKET}", BadInputError, "names a whole bucket"),
        (f"s3://{BUCKET}/a/../b", BadInputError, "must not hold"),
        (f"s3://{BUCKET}//a", BadInputError, "must not hold"),
        ("s3://B/a", BadInputError, "names no bucket"),
    ],
)
def test_a_place_that_cannot_be_read_is_named_and_not_tried_again(
    s3: Store, tmp_path: Path, uri: str, error: type[PlatformError], sentence: str
) -> None:
    known = s3.account()
    account = Account(known.endpoint, known.region, known.access_key_id, known.secret_access_key, (BUCKET, "missing"))
    with pytest.raises(error, match=sentence), inline_job(tmp_path, account=account) as run:
        run.job.input(uri)


def test_without_a_store_its_uris_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageRefusedError, match="S3_BUCKETS"), inline_job(tmp_path) as run:
        run.job.input("s3://media/a.mp4")


def test_a_store_that_is_away_is_an_error_that_can_pass(tmp_path: Path) -> None:
    account = Account("http://127.0.0.1:9", "x", SecretStr("a"), SecretStr("b"), buckets=(BUCKET,))
    with pytest.raises(StorageError, match="no connection"), inline_job(tmp_path, account=account) as run:
        run.job.input(f"s3://{BUCKET}/a.mp4")


@pytest.mark.parametrize("fate", ["refuse", "cut", "lose"])
def test_a_store_that_fails_every_third_request_loses_nothing(s3: Store, tmp_path: Path, fate: Fate) -> None:
    uri = s3.put("in.bin", body := noise(LARGE))
    with proxied(s3, every_third(fate)) as proxy, inline_job(tmp_path, account=s3.account(proxy.url)) as run:
        assert run.job.input(uri).read_bytes() == body
        written(run, f"s3://{BUCKET}/out.bin", body[::-1])
        folder = run.job.output(f"s3://{BUCKET}/dir", directory=True, last="index")
        for number in range(5):
            (folder.path / f"{number}").write_bytes(noise(1000, number))
        (folder.path / "index").write_text("all")
    assert s3.get("out.bin") == body[::-1]
    assert sorted(s3.names()) == ["dir/0", "dir/1", "dir/2", "dir/3", "dir/4", "dir/index", "in.bin", "out.bin"]
    assert sum(request.fate == fate for request in proxy.passed) >= 5


def test_a_transfer_goes_on_where_it_broke(s3: Store, tmp_path: Path) -> None:
    uri = s3.put("in.bin", body := noise(6 * MIB))
    asked: list[str] = []

    def fate(_number: int, request: BaseHTTPRequestHandler) -> Fate:
        asked.append(request.headers.get("Range", ""))
        return "cut" if len(asked) == 2 else "pass"

    with proxied(s3, fate) as proxy, inline_job(tmp_path, account=s3.account(proxy.url)) as run:
        assert run.job.input(uri).read_bytes() == body
    assert asked == ["", f"bytes=0-{6 * MIB - 1}", f"bytes={3 * MIB}-{6 * MIB - 1}"]


def test_an_object_that_changes_while_it_is_read_is_an_error(s3: Store, tmp_path: Path) -> None:
    uri = s3.put("in.bin", noise(LARGE))

    def fate(number: int, _request: BaseHTTPRequestHandler) -> Fate:
        if number == 2:
            s3.put("in.bin", noise(LARGE, seed=2))
        return "pass"

    with (
        proxied(s3, fate) as proxy,
        pytest.raises(StorageError, match="changed while it was read"),
        inline_job(tmp_path, account=s3.account(proxy.url)) as run,
    ):
        run.job.input(uri)


@pytest.mark.parametrize("when", ["before it is opened", "while it is read"])
def test_an_object_that_vanishes_is_called_what_its_user_calls_it(s3: Store, tmp_path: Path, when: str) -> None:
    uri = s3.put("in.bin", noise(LARGE))

    def fate(number: int, _request: BaseHTTPRequestHandler) -> Fate:
        if number == (2 if when == "before it is opened" else 3):
            s3.empty()
        return "pass"

    with (
        proxied(s3, fate) as proxy,
        pytest.raises(SourceRefusedError, match=f"^{uri}: the server answered 404"),
        inline_job(tmp_path, account=s3.account(proxy.url)) as run,
        opened(run.job.source(uri)) as file,
    ):
        assert not isinstance(file, Path)
        file.seek(MIB)
        file.read(1)


@pytest.mark.parametrize("moment", ["fetching", "uploading"])
def test_cancelling_ends_a_transfer_that_hangs(s3: Store, tmp_path: Path, moment: str) -> None:
    uri = s3.put("in.bin", noise(LARGE))
    wanted = {"fetching": "GET", "uploading": "PUT"}[moment]

    def fate(_number: int, request: BaseHTTPRequestHandler) -> Fate:
        return "hold" if request.command == wanted else "pass"

    with (
        proxied(s3, fate) as proxy,
        pytest.raises(Cancelled),
        inline_job(tmp_path, account=s3.account(proxy.url)) as run,
    ):
        threading.Thread(target=lambda: proxy.is_held.wait(20) and run.pulse.stop(Cancelled())).start()
        if moment == "fetching":
            run.job.input(uri)
        written(run, f"s3://{BUCKET}/out.bin", noise(LARGE))
        run.files.send()
    assert s3.uploads() == []


def test_memory_stays_bounded_whatever_the_size(s3: Store, tmp_path: Path) -> None:
    size = 64 * MIB
    with (tmp_path / "large.bin").open("wb") as file:
        for number in range(size // MIB):
            file.write(noise(MIB, number))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with inline_job(tmp_path, account=s3.account()) as run:
        output = run.job.output(f"s3://{BUCKET}/large.bin")
        os.link(tmp_path / "large.bin", output.path.with_name("link"))
        output.path.with_name("link").replace(output.path)
    with inline_job(tmp_path, account=s3.account()) as run:
        path = run.job.input(f"s3://{BUCKET}/large.bin")
        assert path.stat().st_size == size
        with path.open("rb") as got, (tmp_path / "large.bin").open("rb") as sent:
            assert all(got.read(MIB) == sent.read(MIB) for _ in range(size // MIB))
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mib < 48


def test_the_addresses_of_an_object_are_its_public_and_its_signed_one(s3: Store) -> None:
    with inline_job(Path("/tmp"), account=s3.account()) as run:  # noqa: S108 - nothing is written
        store = run.files.remotes.s3
    place = run.files.place(f"s3://{BUCKET}/a b/c.mp4")
    assert store.public_url(place) == "https://cdn.test/media/a%20b/c.mp4"
    assert store.presigned(place).startswith(f"{s3.url}/media/a%20b/c.mp4?")
