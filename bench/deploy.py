"""Deploys in place, without a build, against the git commands that a script would run: first deploy and next ones.

Plain git clones, or fetches and resets; the deploy does the same in children, checks every object, and can go back.
"""

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench._children import warm_children
from bench._table import print_table
from workers.deploy import deploy
from workplatform.children import ChildPool
from workplatform.registry import JobType, type_of
from workplatform.sockets import no_watch
from workplatform.testing import inline_job

FILES = 5_000
CHANGED = 200
ROUNDS = 3


def main() -> None:
    """Measure and print."""
    declared = type_of(deploy)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_repository(root / "repo")
        pool = warm_children(deploy)
        pool.call(time.sleep, no_watch, 0)  # a worker has its nursery already
        first: list[tuple[float, float]] = []
        following: list[tuple[float, float]] = []
        for number in range(ROUNDS):
            theirs, mine = plain(root, f"plain{number}"), ours(root, f"site{number}", declared, pool)
            first.append((seconds(theirs), seconds(mine)))
            change(root / "repo", f"round {number}")
            following.append((seconds(theirs), seconds(mine)))
        pool.close()
    rows = [row("first", first), row(f"next, {CHANGED} files differ", following)]
    print(f"A repository of {FILES} files, seconds, medians of {ROUNDS} interleaved rounds")
    print_table(("deploy", "plain git", "deploy job", "job / git"), rows)


def row(name: str, times: list[tuple[float, float]]) -> tuple[str, str, str, str]:
    """Return a line of the table."""
    theirs, mine = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(ours / plain for plain, ours in times)
    return name, f"{theirs:.2f}", f"{mine:.2f}", f"{ratio:.2f}"


def plain(root: Path, folder: str) -> Callable[[], None]:
    """Return what a script does with git."""

    def run() -> None:
        target = root / folder
        if target.exists():
            git(target, "fetch", "--quiet", "origin", "main")
            git(target, "reset", "--quiet", "--hard", "FETCH_HEAD")
        else:
            git(root, "clone", "--quiet", f"file://{root / 'repo'}", folder)

    return run


def ours(root: Path, folder: str, declared: JobType, pool: ChildPool) -> Callable[[], None]:
    """Return what a worker does with a deploy job."""
    document = {"projectId": folder, "repoUrl": "repo", "branch": "main", "directory": folder}
    payload = declared.payload_model.model_validate(document)

    def run() -> None:
        with inline_job(root, children=pool) as attempt:
            declared.handler(payload, attempt.job)

    return run


def make_repository(folder: Path) -> None:
    """Make a repository with many small files."""
    for number in range(FILES):
        path = folder / str(number % 100) / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}\n" * 20)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)


def change(folder: Path, text: str) -> None:
    """Change some files, and commit that."""
    for number in range(CHANGED):
        (folder / str(number % 100) / f"{number}.txt").write_text(text)
    commit(folder)


def commit(folder: Path) -> None:
    """Commit everything."""
    who = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    git(folder, "add", "--all")
    git(folder, *who, "commit", "--quiet", "--message", "change")


def git(folder: Path, *words: str) -> None:
    """Run git in a folder."""
    subprocess.run(["git", "-C", str(folder), *words], check=True)


def seconds(run: Callable[[], None]) -> float:
    """Return the wall time of one run."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
