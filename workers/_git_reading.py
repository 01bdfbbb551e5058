"""What git knows, read with GitPython in a child process: names of files need not be text, nor repositories small."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import git
from git.exc import GitCommandError

from workplatform.errors import CommandFailedError


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
        found = repository.commit(commit)
        author = f"{found.author.name or ''} <{found.author.email or ''}>".strip()
        subject = str(found.summary)
        paths: list[str] = []
        if previous is not None and _has_commit(repository, previous):
            # GitPython's own diff breaks at names with a line end.
            options = ("-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--end-of-options", previous, commit)
            paths = [_text(name) for name in words(repository, "diff-tree", *options)]
        return Facts(_text(author), _text(subject), tuple(paths[:most]), len(paths))


def changes(git_dir: Path, env: Mapping[str, str]) -> list[Change]:
    """Return what differs from HEAD, and what git does not know and was not told to ignore."""
    with open_repository(git_dir, env) as repository:
        listed = words(repository, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all")
    return [Change(entry[3:], not entry.startswith("??")) for entry in listed]


def others(git_dir: Path, env: Mapping[str, str]) -> list[str]:
    """Return what git does not know, ignored or not; folders of which it knows nothing as a whole."""
    with open_repository(git_dir, env) as repository:
        return [name.rstrip("/") for name in words(repository, "ls-files", "-z", "--others", "--directory")]


def open_repository(git_dir: Path, env: Mapping[str, str]) -> git.Repo:
    """Open a repository whose git gets these variables; close it by `with`."""
    repository = git.Repo(git_dir)
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


def _has_commit(repository: git.Repo, name: str) -> bool:
    try:
        repository.git.cat_file("-e", f"{name}^{{commit}}")
    except GitCommandError:
        return False
    return True


def _text(value: object) -> str:
    """Return a text that can be sent on: what is no UTF-8 is replaced."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
