"""Repositories in folders of this machine: nothing that git would read of them may lie outside what jobs may read."""

import os
from pathlib import Path
from typing import Final

from workplatform.context import JobContext
from workplatform.errors import BadInputError

_MOST_STORES: Final = 20
_MOST_TEXT: Final = 1 << 16


def repository_in(job: JobContext, folder: Path) -> Path:
    """Return where git finds the repository of a folder, or the folder if there seems to be none.

    Raises PathForbiddenError if a part of it lies elsewhere, by links, a file in place of `.git`, or alternates.
    """
    for found in (folder / ".git", folder, Path(f"{folder}.git/.git"), Path(f"{folder}.git")):
        if found.is_file() or os.path.lexists(found / "HEAD"):
            break
    else:
        return folder
    pointed = _text(found).removeprefix("gitdir:").strip() if found.is_file() else ""
    repository = job.place(str(found.parent / pointed if pointed else found))
    shared = job.place(str(repository / _text(repository / "commondir").strip()))
    stores = [shared / "objects"]
    for store in stores:
        if len(stores) > _MOST_STORES:
            raise BadInputError("the repository takes its objects from too many others")
        stores += _alternates(job, job.place(str(store)))
    return repository


def _alternates(job: JobContext, store: Path) -> list[Path]:
    """Return the other folders that one takes objects from; raises PathForbiddenError for links that lead elsewhere."""
    for folder in (store, store / "pack", store / "info"):
        for entry in folder.iterdir() if folder.is_dir() else ():
            if entry.is_symlink():
                job.place(str(entry))
    lines = _text(store / "info" / "alternates").splitlines()
    return [store / line for line in lines if line and not line.startswith("#")]


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return os.fsdecode(file.read(_MOST_TEXT))
