"""Signs of life: what a health check sees of the roles on a machine."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from workplatform.alive import SignOfLife, ages, are_well, forget_all
from workplatform.cli.alive import alive


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command looks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALIVE_DIR", str(tmp_path / "alive"))
    return tmp_path / "alive"


def age(folder: Path, role: str, seconds: float) -> None:
    path = folder / role
    moment = path.stat().st_mtime - seconds
    os.utime(path, (moment, moment))


def test_roles_that_show_themselves_are_well_and_silent_ones_are_not(folder: Path) -> None:
    assert CliRunner().invoke(alive).exit_code == 1
    for role in ("api", "worker-hls"):
        SignOfLife(folder, role).touch()
    assert CliRunner().invoke(alive).exit_code == 0
    age(folder, "worker-hls", 61)
    whole = CliRunner().invoke(alive)
    assert whole.exit_code == 1
    assert "api: alive" in whole.output and "worker-hls: silent" in whole.output
    assert CliRunner().invoke(alive, ["api"]).exit_code == 0
    assert CliRunner().invoke(alive, ["worker-hls"]).exit_code == 1
    assert CliRunner().invoke(alive, ["worker-hls", "--within", "120"]).exit_code == 0
    assert CliRunner().invoke(alive, ["scheduler"]).exit_code == 1


def test_a_sign_is_given_again_only_after_some_seconds(folder: Path) -> None:
    sign = SignOfLife(folder, "api")
    sign.touch()
    age(folder, "api", 1000)
    sign.touch()
    assert ages(folder)["api"] > 900
    SignOfLife(folder, "api").touch()
    assert are_well(ages(folder))


def test_a_role_that_ended_in_order_leaves_nothing_and_a_killed_one_is_forgotten(folder: Path) -> None:
    sign = SignOfLife(folder, "api")
    sign.touch()
    sign.remove()
    sign.remove()
    assert ages(folder) == {}
    SignOfLife(folder, "scheduler").touch()
    forget_all(folder)
    assert not are_well(ages(folder))


def test_a_folder_that_cannot_be_written_stops_no_role(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sign = SignOfLife(tmp_path / "file", "api")
    sign.touch()
    sign.remove()
