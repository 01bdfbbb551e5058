"""The browser's programs and leftovers: what is found, and what is swept."""

import ast
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workers._pages import need_a_browser
from workplatform import browsing
from workplatform.errors import BrowserMissingError

ROOT = Path(__file__).parent.parent


def test_only_profiles_that_nobody_holds_are_swept(tmp_path: Path) -> None:
    held, dead, other = tmp_path / "profile-held", tmp_path / "profile-dead", tmp_path / "something"
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    for folder in (held, dead, other, outside):
        folder.mkdir()
        (folder / "file").write_text("x")
    (tmp_path / "profile-link").symlink_to(outside)
    fd = os.open(held, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        assert browsing.sweep_profiles(tmp_path) == 1
    finally:
        os.close(fd)
    assert not dead.exists()
    assert all((folder / "file").exists() for folder in (held, other, outside))
    assert browsing.sweep_profiles(tmp_path) == 1
    assert not held.exists()


def test_no_folder_means_nothing_to_sweep(tmp_path: Path) -> None:
    assert browsing.sweep_profiles(tmp_path / "none") == 0
    assert not (tmp_path / "none").exists()


def test_a_named_program_wins_over_the_first_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("chromium-browser", "google-chrome", "mine"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CHROMIUM_BIN", "")
    assert browsing.program() == str(tmp_path / "chromium-browser")
    monkeypatch.setenv("CHROMIUM_BIN", str(tmp_path / "mine"))
    assert browsing.program() == str(tmp_path / "mine")
    assert browsing.program("google-chrome") == str(tmp_path / "google-chrome")
    with pytest.raises(BrowserMissingError, match="CHROMIUM_BIN=other is no program"):
        browsing.program("other")


def test_the_python_is_the_named_one_else_that_of_the_own_environment_else_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BROWSER_PYTHON", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert browsing.python() == sys.executable
    own = tmp_path / "browser" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(sys.executable)
    assert browsing.python() == str(own)
    assert browsing.python(sys.executable) == sys.executable


def test_what_the_platform_imports_is_in_the_urllib3_that_pyppeteer_holds() -> None:
    need_a_browser()
    files = [file for package in ("workplatform", "workers", "api") for file in sorted((ROOT / package).rglob("*.py"))]
    imports = {
        ast.unparse(node)
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "urllib3"
    }
    assert len(imports) > 3
    subprocess.run([browsing.python(), "-P", "-c", "\n".join(sorted(imports))], check=True, timeout=60)
