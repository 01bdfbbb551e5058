"""Says what of a repository a deploy leaves out."""

from pathlib import Path
from typing import Final

from workplatform.context import JobContext

_LOOKED_AT_BYTES: Final = 1 << 20


def say_what_is_left_out(job: JobContext, folder: Path) -> None:
    """Tell the job's log of submodules and filters in what was checked out."""
    if (folder / ".gitmodules").is_file():
        job.log("the repository has submodules; they are not fetched, their folders stay empty")
    if b"filter=" in _beginning(folder / ".gitattributes"):
        job.log("the repository asks for filters (Git LFS?); none runs, files are as they are committed")


def _beginning(path: Path) -> bytes:
    """Return the beginning of a file, nothing of what is none: a link leads wherever a repository likes."""
    if path.is_symlink() or not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(_LOOKED_AT_BYTES)
