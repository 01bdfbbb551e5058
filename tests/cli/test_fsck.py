"""`workplatform fsck` as its user calls it: exit codes, sentences, JSON, and repair."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import ROOT
from workplatform import embedded
from workplatform.bootstrap import build
from workplatform.settings import Settings, load
from workplatform.store.connection import Connector


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a platform with one queued job, which does not run."""
    environ = {"DATA_DIR": str(tmp_path / "data"), "JOB_PACKAGES": "tests.jobs"}
    settings = load(environ, env_file=tmp_path / "none").settings
    with embedded.running(settings):
        platform = build(settings)
        platform.service.create([platform.service.prepare({"type": "noop", "payload": {}})])
        platform.close()
    return settings


def fsck(settings: Settings, *options: str) -> subprocess.CompletedProcess[str]:
    own = {"DATA_DIR": str(settings.data_dir), "JOB_PACKAGES": "tests.jobs", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "workplatform", "fsck", *options]
    return subprocess.run(
        command,
        cwd=settings.data_dir,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_stopped_platform_is_checked_too(settings: Settings) -> None:
    ended = fsck(settings)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("1 jobs, ") and ended.stdout.endswith(" keys: no difference\n")
    assert not embedded.is_ready(settings)


def test_differences_are_told_and_repaired(settings: Settings) -> None:
    with embedded.running(settings) as address:
        connector = Connector(address)
        connector.client.delete("wp:index:noop:queued")
        connector.client.set("wp:rubbish", 1)
        ended = fsck(settings)
        assert ended.returncode == 1
        assert "is queued and not in wp:index:noop:queued\n" in ended.stdout
        assert ended.stdout.endswith("2 differences, 0 mended\nmend: workplatform fsck --repair\n")

        repaired = fsck(settings, "--repair", "--json")
        assert repaired.returncode == 1, "of one thing nobody knows what it is"
        rows = json.loads(repaired.stdout)["differences"]
        assert {(row["kind"], row["mended"]) for row in rows} == {("missing", True), ("unknown", False)}

        connector.client.delete("wp:rubbish")
        assert fsck(settings).returncode == 0
        connector.close()


def test_a_store_that_is_away_is_a_sentence(tmp_path: Path, settings: Settings) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "QUEUE_TYPE": "redis", "REDIS_URL": f"unix://{tmp_path}/none"}
    command = [sys.executable, "-m", "workplatform", "fsck"]
    ended = subprocess.run(
        command, cwd=settings.data_dir, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Error: the job store at unix://") and "Traceback" not in ended.stderr
