"""What git knows, read with GitPython in a child process: names of files need not be text, nor repositories small."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final, cast

import git
from git.exc import GitCommandError, InvalidGitRepositoryError, NoSuchPathError

from workplatform.errors import CommandFailedError

_LONGEST_TEXT: Final = 500
_SUBMODULE: Final = "160000 "


@dataclass(frozen=True, slots=True)
class Facts:
    """A commit, and what differs from an earlier one: the first files, and how many."""

    author: str
    subject: str
    changed: tuple[str, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is not as its commit has it; `is_known` says that git follows it."""

    path: str
    is_known: bool


def facts(git_dir: Path, env: Mapping[str, str], commit: str, previous: str | None, most: int) -> Facts:
    """Return what a commit is, and what it changes; nothing differs where the earlier one is not there any more."""
    with open_repository(git_dir, env) as repository:
        # GitPython's own commits break at encodings that nobody knows.
        told = ("-1", "--no-show-signature", "--encoding=UTF-8", "--format=%an <%ae>%x00%s%x00", "--end-of-options")
        author, subject, _ = execute(repository, "log", *told, commit).split(b"\0", 2)
        paths: list[str] = []
        if previous is not None and _has_commit(repository, previous):
            # GitPython's own diff breaks at names with a line end.
            options = ("-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--end-of-options", previous, commit)
            paths = [_text(name) for name in words(repository, "diff-tree", *options)]
        return Facts(_shortened(author), _shortened(subject), tuple(paths[:most]), len(paths))


def changes(git_dir: Path, env: Mapping[str, str]) -> list[Change]:
    """Return what differs from HEAD, and what git does not know and was not told to ignore."""
    # In submodules git would obey their own configuration; a checkout leaves their files as they are.
    options = ("--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=dirty")
    with open_repository(git_dir, env) as repository:
        listed = words(repository, "status", *options)
    return [Change(entry[3:], not entry.startswith("??")) for entry in listed]


def all_changes(git_dir: Path, env: Mapping[str, str]) -> list[Change]:
    """Return the same, changes of files too that git was told to take for unchanged: a checkout would lose them.

    It looks at these again from then on.
    """
    with open_repository(git_dir, env) as repository:
        listed = [(entry[0], entry[2:]) for entry in words(repository, "ls-files", "-v", "-z")]
        assumed = [name for tag, name in listed if tag.islower()]
        skipped = [name for tag, name in listed if tag in "Ss" and os.path.lexists(git_dir.parent / name)]
        for option, names in (("--no-assume-unchanged", assumed), ("--no-skip-worktree", skipped)):
            if names:
                _update_index(repository, option, names)
    return changes(git_dir, env)


def others(git_dir: Path, env: Mapping[str, str]) -> list[str]:
    """Return what git does not know, ignored or not; folders of which it knows nothing as a whole."""
    with open_repository(git_dir, env) as repository:
        return [name.rstrip("/") for name in words(repository, "ls-files", "-z", "--others", "--directory")]


def uncommitted(git_dir: Path, env: Mapping[str, str]) -> list[str]:
    """Return the same, and the submodules whose files are there: of these git does not bring back any either."""
    with open_repository(git_dir, env) as repository:
        staged = (entry.partition("\t") for entry in words(repository, "ls-files", "-z", "--stage"))
        modules = [name for entry, _, name in staged if entry.startswith(_SUBMODULE)]
    return [*others(git_dir, env), *(name for name in modules if _is_filled(git_dir.parent / name))]


def open_repository(git_dir: Path, env: Mapping[str, str]) -> git.Repo:
    """Open a repository whose git gets these variables; close it by `with`. Raises CommandFailedError if it is none."""
    try:
        repository = git.Repo(git_dir)
    except (InvalidGitRepositoryError, NoSuchPathError) as error:
        raise CommandFailedError(f"{git_dir} is no repository of git") from error
    repository.git.update_environment(**env)
    return repository


def words(repository: git.Repo, command: str, *options: str) -> list[str]:
    """Run a command that answers with names that end in a zero byte. Raises CommandFailedError."""
    return [os.fsdecode(word) for word in execute(repository, command, *options).split(b"\0") if word]


def execute(repository: git.Repo, command: str, *options: str, source: BinaryIO | None = None) -> bytes:
    """Run a command that reads the file `source`, and return its answer. Raises CommandFailedError."""
    try:
        answer = repository.git.execute(
            ["git", command, *options], istream=source, stdout_as_string=False, strip_newline_in_stdout=False
        )
    except GitCommandError as error:
        raise CommandFailedError(f"git {command} failed: {str(error.stderr).strip()[:500]}") from error
    return bytes(answer)


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and any(folder.iterdir())


def _has_commit(repository: git.Repo, name: str) -> bool:
    try:
        repository.git.cat_file("-e", f"{name}^{{commit}}")
    except GitCommandError:
        return False
    return True


def _update_index(repository: git.Repo, option: str, names: list[str]) -> None:
    with TemporaryFile() as source:
        source.write(b"\0".join(map(os.fsencode, names)))
        source.seek(0)
        execute(repository, "update-index", "-z", option, "--stdin", source=cast("BinaryIO", source))


def _shortened(value: bytes) -> str:
    return _text(value).strip()[:_LONGEST_TEXT]


def _text(value: object) -> str:
    """Return a text that can be sent on: what is no UTF-8 is replaced."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
