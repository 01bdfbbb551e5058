"""The Dockerfile: everything that it names exists, and its image may run as tightly as the compose file says."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.deploy import recipe
from tests.running import ROOT
from workplatform.alive import WITHIN_S, SignOfLife
from workplatform.cli import COMMANDS
from workplatform.settings import Settings, load


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path of the top folder from the build; the last line that fits decides."""
    is_ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and fnmatch.fnmatch(path, pattern):
            is_ignored = not line.startswith("!")
    return is_ignored


def test_every_copied_path_exists_and_is_sent_to_the_build() -> None:
    copied = recipe.copied()
    assert copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert not ignored(path), path
    for secret in (".env", ".git", "data"):
        assert ignored(secret), secret


def test_all_that_the_package_is_built_from_is_copied() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {pattern.rstrip("*") for pattern in pyproject["tool"]["setuptools"]["packages"]["find"]["include"]}
    modules = {f"{name}.py" for name in pyproject["tool"]["setuptools"]["py-modules"]}
    metadata = {pyproject["project"]["readme"], *pyproject["project"]["license-files"], "pyproject.toml"}
    assert set(recipe.copied()) == packages | modules | metadata


def test_pip_installs_the_project_with_extras_that_it_has() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    installed = re.findall(r'pip install --no-cache-dir "\.\[([a-z,-]+)\]"', " ".join(recipe.texts("RUN")))
    assert [set(names.split(",")) for names in installed] == [extras.keys() - {"dev", "browser"}]
    assert "browser install" in " ".join(recipe.texts("RUN")), "the extra `browser` has an environment of its own"


def test_the_python_of_the_image_is_one_that_the_project_takes() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = next(text for text in recipe.texts("ARG") if text.startswith("PYTHON=")).partition("=")[2]
    oldest = pyproject["project"]["requires-python"].removeprefix(">=")
    assert tuple(map(int, named.split("."))) >= tuple(map(int, oldest.split(".")))
    assert all(re.match(r"python:\$\{PYTHON\}-slim-\w+( AS \w+)?$", text) for text in recipe.texts("FROM"))


def test_the_debian_packages_exist() -> None:
    packages = recipe.debian_packages()
    assert "chromium" in packages
    apt_cache = shutil.which("apt-cache")
    if apt_cache is None:
        pytest.skip("apt-cache is not here to ask")
    known = subprocess.run([apt_cache, "pkgnames"], capture_output=True, text=True, timeout=60, check=True).stdout
    names = set(known.split())
    if "chromium" not in names and not os.environ.get("CI"):
        pytest.skip("apt has no lists here: apt-get update")
    assert set(packages) <= names


def test_the_image_runs_unprivileged_and_writes_to_its_volumes_alone(tmp_path: Path) -> None:
    instructions = recipe.instructions()
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", recipe.texts("USER")[-1])
    after = [one.name for one in instructions[[one.name for one in instructions].index("USER") :]]
    assert not {"RUN", "COPY", "ADD"} & set(after), "what root has to do comes first"
    environment = recipe.environment()
    settings = load({name: environment[name] for name in environment if name.lower() in Settings.model_fields},
                    env_file=tmp_path / "none").settings  # fmt: skip
    made = re.search(r"install --directory --owner=10001 --group=10001 ([^&]+)", " ".join(recipe.texts("RUN")))
    assert made is not None
    writable = {Path(path) for path in made[1].split()}
    assert settings.data_dir in writable and set(settings.allowed_roots) <= writable
    for own in (settings.alive_folder, Path(environment["HOME"])):
        assert own.is_relative_to("/tmp"), own  # noqa: S108 - the container's own
    assert not any(Path(recipe.texts("WORKDIR")[-1]).is_relative_to(path) for path in writable), "no .env from a job"


def test_the_health_check_reads_a_files_age_and_asks_neither_celery_nor_the_role(tmp_path: Path) -> None:
    command = [sys.executable, *recipe.health_check()[1:]]
    environment = {"ALIVE_DIR": str(tmp_path), "PATH": os.environ["PATH"]}

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert (check().returncode, "no role" in check().stderr) == (1, True)
    SignOfLife(tmp_path, "api").touch()
    assert check().returncode == 0
    os.utime(tmp_path / "api", (0, 0))
    assert check().returncode == 1
    imported = subprocess.run([*command[:1], "-X", "importtime", *command[1:]], env=environment, capture_output=True,
                              text=True, timeout=60, check=False).stderr  # fmt: skip
    assert not re.search(r"\| +(celery|redis|pydantic|click)", imported), "it is asked often"
    (text,) = recipe.texts("HEALTHCHECK")
    assert float(re.findall(r"--interval=(\d+)s", text)[0]) < WITHIN_S


def test_the_entry_point_is_our_command() -> None:
    (entry,) = (json.loads(text) for text in recipe.texts("ENTRYPOINT"))
    (default,) = (json.loads(text) for text in recipe.texts("CMD"))
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert entry[0] in scripts and default[0] in COMMANDS
