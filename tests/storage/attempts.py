"""Attempts of a job on real files, without a worker."""

from collections.abc import Callable
from pathlib import Path

from workplatform.storage.journal import Journals
from workplatform.storage.local import LocalFiles
from workplatform.storage.paths import Roots


def never() -> None:
    """Have no reason to stop."""


def attempt(root: Path, fence: int, *, job_id: str = "job_1", watch: Callable[[], None] = never) -> LocalFiles:
    """The files of one attempt below a folder."""
    state = root / "state"
    journal = Journals(state / "attempts").open(job_id, fence)
    return LocalFiles(Roots([root], base=root, reserved=[state]), journal, state / "work", watch)


def everything(root: Path) -> set[str]:
    """The files below a folder."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
