"""The path guard: what is inside stays reachable, nothing else is."""

import os
from pathlib import Path

import pytest

from workplatform.errors import BadInputError, InputNotFoundError, PathForbiddenError
from workplatform.storage.paths import Roots


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "own").mkdir(parents=True)
    (root / "film.mp4").write_text("film")
    (tmp_path / "secret.txt").write_text("secret")
    return root


@pytest.fixture
def roots(root: Path) -> Roots:
    return Roots([root], base=root, reserved=[root / "own"])


@pytest.mark.parametrize("name", ["film.mp4", "./film.mp4", "own/../film.mp4"])
def test_an_input_inside_is_found(roots: Roots, root: Path, name: str) -> None:
    assert roots.input(name) == root / "film.mp4"
    assert roots.input(str(root / name)) == root / "film.mp4"


@pytest.mark.parametrize("name", ["-film.mp4", "concat:film.mp4|b", "file:film.mp4", "a b'\"%d.mp4", "影片.mp4"])
def test_odd_names_are_plain_names(roots: Roots, root: Path, name: str) -> None:
    (root / name).write_text("film")
    assert roots.input(name) == root / name


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "own/key", "link", "folder/secret.txt", "..", "~/x"])
def test_what_lies_outside_is_forbidden(roots: Roots, root: Path, name: str) -> None:
    (root / "own" / "key").write_text("key")
    (root / "link").symlink_to(root.parent / "secret.txt")
    (root / "folder").symlink_to(root.parent)
    refusal = InputNotFoundError if name.startswith("~") else PathForbiddenError
    with pytest.raises(refusal):
        roots.input(name)


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "own/out", "folder/out", "own"])  # noqa: S108 - never written
def test_outputs_are_confined_too(roots: Roots, root: Path, name: str) -> None:
    (root / "folder").symlink_to(root.parent)
    with pytest.raises(PathForbiddenError):
        roots.output(name)


def test_a_name_that_no_disk_can_have_is_refused_in_words(roots: Roots) -> None:
    for ask in (roots.input, roots.is_folder):
        with pytest.raises(BadInputError, match="too long"):
            ask("x" * 300)


def test_a_link_that_stays_inside_is_followed(roots: Roots, root: Path) -> None:
    (root / "again.mp4").symlink_to("film.mp4")
    assert roots.input("again.mp4") == root / "film.mp4"


def test_what_is_no_file_is_refused_in_words(roots: Roots, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(InputNotFoundError, match=r"there is no file missing\.mp4"):
        roots.input("missing.mp4")
    with pytest.raises(BadInputError, match="folder"):
        roots.input(str(root))
    with pytest.raises(BadInputError, match="ordinary"):
        roots.input("pipe")
    with pytest.raises(BadInputError, match="whole root"):
        roots.output(".")
    for nothing in ("", "a\0b"):
        with pytest.raises(BadInputError):
            roots.input(nothing)
    with pytest.raises(PathForbiddenError, match="s3://"):
        roots.input("s3://bucket/key")
