"""Sets local changes of a working copy aside in a stash of git's; runs in a child process, since they can be many.

`git stash push` compares every file with every name that it is given, so thousands of them take minutes, and it gives
up over files in conflict.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import git

from workers._deploy_place import remove
from workers._git_reading import execute, open_repository, words


def in_the_way(directory: Path, env: Mapping[str, str], store: Path, commit: str) -> list[str]:
    """Return the files that git does not follow where a commit has others: to check it out is to lose them.

    `store` is a repository that has the commit.
    """
    with open_repository(store, {**env, "GIT_DIR": str(store)}) as repository:
        wanted = words(repository, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
    with open_repository(directory / ".git", env) as repository:
        known = frozenset(words(repository, "ls-files", "-z"))
    found = (name for path in wanted if path not in known for name in _occupants(directory, path))
    return sorted({name for name in found if name not in known})


def set_aside(
    directory: Path,
    env: Mapping[str, str],
    *,
    known: Sequence[str],
    unknown: Sequence[str],
    message: str,
    scratch: Path,
) -> str:
    """Keep files that git follows, and others, in a new stash; remove the others. Returns the stash's commit.

    What is followed stays as it is for the checkout to replace. Nothing is removed before all of it is kept.
    """
    with open_repository(directory / ".git", env) as repository:
        changed = _tree(repository, scratch / "known", "HEAD", known)
        parents = ["-p", "HEAD", "-p", _commit(repository, "HEAD^{tree}", "-p", "HEAD", "-m", f"index, {message}")]
        if unknown:
            beside = _tree(repository, scratch / "unknown", "--empty", unknown)
            parents += ["-p", _commit(repository, beside, "-m", f"untracked files, {message}")]
        stash = _commit(repository, changed, *parents, "-m", message)
        execute(repository, "stash", "store", "--quiet", "--message", message, stash)
    for name in unknown:
        remove(directory / name)
    _remove_empty_folders(directory, unknown)
    return stash


def _occupants(directory: Path, name: str) -> Iterator[str]:
    """Yield what is there instead of a file that is about to come."""
    parts = name.split("/")
    for count in range(1, len(parts)):
        folder = directory.joinpath(*parts[:count])
        if folder.is_symlink() or folder.is_file():
            yield "/".join(parts[:count])
        if folder.is_symlink() or not folder.is_dir():
            return
    path = directory / name
    if path.is_symlink() or path.is_file():
        yield name
    for inside, _, files in os.walk(path):
        yield from (os.path.relpath(Path(inside, file), directory) for file in files)


def _tree(repository: git.Repo, index: Path, begin: str, names: Sequence[str]) -> str:
    """Return the tree of HEAD, or of nothing, with these files as they are now."""
    listed = index.with_suffix(".names")
    listed.write_bytes(b"\0".join(map(os.fsencode, names)))
    with repository.git.custom_environment(GIT_INDEX_FILE=str(index)), listed.open("rb") as source:
        execute(repository, "read-tree", begin)
        execute(repository, "update-index", "-z", "--add", "--remove", "--replace", "--stdin", source=source)
        return execute(repository, "write-tree").decode().strip()


def _commit(repository: git.Repo, tree: str, *options: str) -> str:
    return execute(repository, "commit-tree", tree, *options).decode().strip()


def _remove_empty_folders(directory: Path, names: Sequence[str]) -> None:
    """Remove the folders that held nothing else, the innermost first."""
    folders = {parent for name in names for parent in Path(name).parents if parent.parts}
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        path = directory / folder
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()
