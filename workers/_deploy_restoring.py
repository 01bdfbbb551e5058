"""Puts a working copy back to what its journal says it was, wherever the deploy was cut off."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from workers._deploy_place import Place, remove
from workers._deploy_snapshot import empty, forget, give_back, give_back_unfinished, remove_new
from workers._git import Git, command_settings, drop_stale_locks, without_filters
from workplatform.context import JobContext
from workplatform.errors import CommandFailedError

_KEPT: Final = "refs/deploy/previous"
# What our store has was checked when it came, and what the working copy has is there already.
_CHECKED_ALREADY: Final = (("fetch.fsckObjects", "false"), ("transfer.fsckObjects", "false"))
_FETCH: Final = (
    "fetch",
    "--no-tags",
    "--force",
    "--quiet",
    "--no-write-fetch-head",
    "--update-shallow",
    "--upload-pack=git-upload-pack",
)


def own_git(git: Git, place: Place) -> Git:
    """Return git for the working copy, whatever its configuration says by now."""
    return without_filters(git.within(place.directory / ".git", place.directory))


def begin(git: Git, place: Place) -> None:
    """Make the folder a working copy, without a commit yet."""
    place.directory.mkdir(parents=True, exist_ok=True)
    git.run("init", "--quiet", "--template=", place.directory)


def bring(own: Git, place: Place, ref: str) -> None:
    """Fetch a reference of our store's into the working copy's repository."""
    _locally(own).run(*_FETCH, "--", place.repository, f"+{ref}:{ref}")


def keep(git: Git, place: Place, previous: str) -> None:
    """Have our store hold the commit to go back to, since a build may break the working copy's own repository."""
    store = git.within(place.repository)
    if store.attempt("update-ref", _KEPT, previous).returncode != 0:
        # Should it not be taken over, there still is the repository itself.
        _locally(store).attempt(*_FETCH, "--", place.directory / ".git", f"+{previous}:{_KEPT}")


def restore(job: JobContext, git: Git, place: Place, journal: Mapping[str, Any]) -> str:
    """Bring back what was there, and say it; goes on where an earlier try was cut off."""
    place.prepare()
    previous, folder, phase = journal["previous"], place.directory, journal["phase"]
    if folder.is_symlink():
        folder.unlink()  # a build put it there; through it something else would be put back, and emptied
    if previous is None and phase == "changing":
        job.isolated(empty, folder, but_itself=journal["existed"])
    elif previous is not None and phase != "copying":
        if phase == "changing":
            _make_room(job, git, place, journal)
            _check_out(job, git, place, journal)
            # Checked out once more, files that were put back already would be lost.
            place.journal.write({**journal, "phase": "returning"})
        lists = {name: journal[name] for name in ("copied", "gone", "kept")}
        job.isolated(give_back, folder, own_git(git, place).env, **lists, snapshot=place.snapshot)
        if place.unfinished.is_dir():
            give_back_unfinished(folder / ".git", place.unfinished)
    place.journal.close()
    job.isolated(forget, place.snapshot)
    if previous is None:
        return "nothing was deployed before, and nothing is now"
    kept = f" (local changes are kept as stash {stash['commit']})" if (stash := journal.get("stashed")) else ""
    return f"commit {previous[:10]} and what was built from it are back{kept}"


def _locally(git: Git) -> Git:
    """Return git that may fetch from folders: only our store and the working copy give anything to each other."""
    env = {**git.env, "GIT_ALLOW_PROTOCOL": "file"}
    return Git(git.job, env | command_settings(_CHECKED_ALREADY, after=env), git.hidden)


def _make_room(job: JobContext, git: Git, place: Place, journal: Mapping[str, Any]) -> None:
    """Remove what the build made, so far as git can tell: it may have filled the disk, and a checkout needs some."""
    if journal["kept"] is None or (place.directory / ".git").is_symlink():
        return
    spared = {*journal["kept"], *journal["copied"]}
    with suppress(CommandFailedError):
        job.isolated(remove_new, place.directory, own_git(git, place).env, spared)


def _check_out(job: JobContext, git: Git, place: Place, journal: Mapping[str, Any]) -> None:
    previous, branch = journal["previous"], journal["branch"]
    inner = place.directory / ".git"
    drop_stale_locks(inner)
    back = ("checkout", "--quiet", "--force", "--detach", previous)
    if inner.is_symlink() or own_git(git, place).attempt(*back).returncode != 0:
        if _is_broken(own_git(git, place), inner, previous):
            _make_anew(job, git, place, journal)
        own_git(git, place).run(*back)
    if branch:
        own_git(git, place).run("symbolic-ref", "HEAD", branch)  # it is where it was: nothing moves branches


def _is_broken(own: Git, inner: Path, previous: str) -> bool:
    """Whether the working copy's repository lacks what is needed to check a commit out."""
    if inner.is_symlink() or not inner.is_dir():
        return True
    if own.attempt("rev-list", "--objects", "--no-walk", "--quiet", previous).returncode != 0:
        return True
    return own.attempt("diff-files", "--quiet").returncode not in (0, 1)


def _make_anew(job: JobContext, git: Git, place: Place, journal: Mapping[str, Any]) -> None:
    inner, aside = place.directory / ".git", place.state / "broken.git"
    if inner.is_symlink() or inner.exists():
        remove(aside)
        inner.rename(aside)
    job.log(f"the working copy's repository was broken and is made anew, without its stashes; it is kept as {aside}")
    remove(place.unfinished)  # what it names may be in the broken one alone
    begin(git, place)
    own = own_git(git, place)
    bring(own, place, _KEPT)
    if journal["branch"]:
        own.run("update-ref", journal["branch"], journal["previous"])
