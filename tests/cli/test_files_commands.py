"""Commands that send and fetch files, against a running platform and over connections that break."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.breaking import Breaking, breaking
from tests.running import Up, running_up

KEY = "a-key-for-tests"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One platform for all tests here."""
    with running_up(
        tmp_path_factory.mktemp("up"), JOB_PACKAGES="tests.copy_jobs,workers.webp", API_KEY=KEY, SHUTDOWN_GRACE="0.5"
    ) as running:
        yield running


@pytest.fixture
def relay(up: Up) -> Iterator[Breaking]:
    """A network that can break."""
    with breaking(int(up.environ["PORT"])) as relay:
        yield relay


def done(ended: subprocess.CompletedProcess[str]) -> str:
    """What a command that has to succeed printed."""
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def sent(up: Up) -> list[str]:
    """The names of the files on the platform."""
    return [line.split("\t")[2] for line in done(up.run("files")).splitlines()]


def test_a_file_is_sent_the_job_watched_and_what_it_made_fetched(up: Up, here: Path) -> None:
    content = os.urandom(MEGABYTE)
    (here / "photo.bin").write_bytes(content)
    ended = up.run("submit", "copy", f"input=@{here}/photo.bin", "--download", str(here / "out"))
    assert json.loads(done(ended)) == {"success": True, "size": MEGABYTE}
    assert [path.name for path in (here / "out").iterdir()] == ["photo.bin"]
    assert (here / "out" / "photo.bin").read_bytes() == content
    assert f"Saved {here}/out/photo.bin" in ended.stderr
    assert sent(up) == []


def test_without_download_the_file_is_sent_and_stays(up: Up, here: Path) -> None:
    (here / "a.bin").write_bytes(b"abc")
    job_id = done(up.run("submit", "copy", f"input-path=@{here}/a.bin", "outputPath=made/b.bin")).strip()
    assert up.run("watch", job_id).returncode == 0
    assert done(up.run("download", job_id, str(here / "got"))) == f"{here}/got/b.bin\n"
    assert (here / "got" / "b.bin").read_bytes() == b"abc"
    assert [name.rpartition("/")[2] for name in sent(up)] == ["a.bin"]
    assert up.run("files", "cli/", "--remove").returncode == 0
    assert sent(up) == []


def test_short_names_of_fields_need_no_file(up: Up, here: Path) -> None:
    (up.folder / "there.bin").write_bytes(b"there")
    done(up.run("submit", "copy", "in=there.bin", "out=made/there.bin", "--watch"))
    assert (up.folder / "made" / "there.bin").read_bytes() == b"there"
    ended = up.run("submit", "copy", "in=there.bin", "--download", str(here))
    assert ended.returncode == 0, ended.stderr
    assert (here / "there.bin").read_bytes() == b"there"


def test_a_job_that_fails_is_exit_code_1_and_fetches_nothing(up: Up, here: Path) -> None:
    (here / "a.bin").write_bytes(b"fail")
    ended = up.run("submit", "copy", f"in=@{here}/a.bin", "--download", str(here / "out"))
    assert ended.returncode == 1
    assert "told to fail" in ended.stderr
    assert not (here / "out").exists()


def test_a_file_that_is_not_there_is_a_sentence_and_submits_nothing(up: Up, here: Path) -> None:
    before = len(json.loads(done(up.run("jobs", "--json")))["jobs"])
    ended = up.run("submit", "copy", f"in=@{here}/missing.bin", "--download", str(here))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"Error: there is no file {here}/missing.bin\n"
    assert len(json.loads(done(up.run("jobs", "--json")))["jobs"]) == before


def test_a_text_that_begins_with_an_at_sign_is_doubled(up: Up) -> None:
    (up.folder / "@odd").write_bytes(b"odd")
    done(up.run("submit", "copy", "in=@@odd", "out=made/odd", "--watch"))
    assert (up.folder / "made" / "odd").read_bytes() == b"odd"


def test_files_are_sent_over_connections_that_break(up: Up, here: Path, relay: Breaking) -> None:
    content = os.urandom(6 * MEGABYTE)
    (here / "big.bin").write_bytes(content)
    relay.up += [2 * MEGABYTE, 2 * MEGABYTE]
    path = done(up.run("upload", str(here / "big.bin"), "--folder", "in/here", WORKPLATFORM_URL=relay.url)).strip()
    assert path == "data/files/in/here/big.bin"
    assert relay.broken == 2
    assert (up.folder / path).read_bytes() == content
    done(up.run("files", "in/", "--remove"))


def test_outputs_are_fetched_over_connections_that_break(up: Up, here: Path, relay: Breaking) -> None:
    content = os.urandom(6 * MEGABYTE)
    (up.folder / "source.bin").write_bytes(content)
    job_id = done(up.run("submit", "copy", "in=source.bin", "out=made/source.bin")).strip()
    done(up.run("watch", job_id))
    relay.down += [2 * MEGABYTE, 3 * MEGABYTE]
    done(up.run("download", job_id, str(here), WORKPLATFORM_URL=relay.url))
    assert relay.broken == 2
    assert (here / "source.bin").read_bytes() == content
    assert [path.name for path in here.iterdir()] == ["source.bin"]


def test_an_empty_file_is_a_file(up: Up, here: Path) -> None:
    (here / "empty").touch()
    path = done(up.run("upload", str(here / "empty"))).strip()
    assert (up.folder / path).read_bytes() == b""
    done(up.run("files", "empty", "--remove"))


def test_what_the_platform_refuses_is_told_in_its_words(up: Up, here: Path) -> None:
    (here / ".hidden").write_text("x")
    ended = up.run("upload", str(here / ".hidden"))
    assert ended.returncode == 1
    assert "begins with a dot" in ended.stderr
    assert up.run("upload", str(here / ".hidden"), API_KEY="wrong").returncode == 4
    assert up.run("download", "job_00000000000000000000000000", str(here)).returncode == 5
    assert up.run("files", "--remove").returncode == 2


def test_a_photo_becomes_webp_by_one_command(up: Up, here: Path) -> None:
    Image.new("RGB", (64, 48), "red").save(here / "photo.jpg")
    done(up.run("submit", "webp", f"input=@{here}/photo.jpg", "--download", str(here / "out")))
    assert (here / "out" / "photo.webp").read_bytes()[8:12] == b"WEBP"
