"""Deploys into a folder where it is: a working copy that goes back to what it was if anything goes wrong."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from workers._build import build, end_builds
from workers._deploy_failing import raise_with
from workers._deploy_health import check_health
from workers._deploy_left_out import say_what_is_left_out
from workers._deploy_models import MOST_LISTED, DeployPayload, DeployResult, Stashed
from workers._deploy_place import Place, by_whom, is_told_at_once, was_by
from workers._deploy_restoring import begin, bring, keep, own_git, restore
from workers._deploy_snapshot import forget, mark_of, marks, take
from workers._git import Git, drop_stale_locks
from workers._git_fetch import WANTED
from workers._git_reading import all_changes, changes, facts, uncommitted
from workers._git_stash import in_the_way, set_aside
from workplatform.context import JobContext
from workplatform.errors import BadInputError, BuildFailedError, CommandFailedError, JobError

_RESTORED_WITHIN: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class WorkingCopy:
    """The folder of a project that is deployed in place."""

    job: JobContext
    git: Git
    place: Place
    payload: DeployPayload

    def recover(self) -> DeployResult | None:
        """Undo what an attempt left half done whose worker died.

        Returns the result if that attempt was one of this very job's, and had done all but tell it.
        """
        end_builds(self.place)
        under_way = self.place.journal.read()
        if under_way is None:
            return None
        if under_way["phase"] != "done":
            self.job.log("an earlier deploy was cut off: putting back what was there before it")
            restore(self.job, self.git, self.place, under_way)
            return None
        if was_by(under_way, self.job, self.payload):
            is_due = is_told_at_once(under_way, self.job, self.payload)
            return self._conclude(self._own(), under_way) if is_due else None
        self.place.journal.close()
        return None

    def deploy(self, commit: str) -> DeployResult:
        """Check out a commit, build and check it; puts back what was there if that fails, and says so."""
        own = self._own()
        done = self.place.journal.read()
        if done is not None and done["commit"] == commit:
            return self._conclude(own, done)
        previous = self._require_usable(own)
        self.job.stage("checking out")
        self.job.confirm()
        journal = self._new_journal(previous)
        try:
            self._prepare(own, journal, commit)
            self._check_out(own, journal, commit)
            self._build_and_check(commit)
            own = self._own()  # anything may have happened to its configuration
            left = self._left(own)
            self.job.confirm()
            self.place.built.write({"marks": left})
            told = {name: journal[name] for name in ("job", "attempt", "asked", "previous", "stashed")}
            done = {**told, "phase": "done", "commit": commit}
            self.place.journal.write(done)
        except Exception as error:
            raise_with(self._put_back(journal), error)
            raise
        return self._conclude(own, done)

    def _put_back(self, journal: Mapping[str, Any]) -> str:
        """Return what to say of it, also where it is not possible."""
        calm = self.job.closing(_RESTORED_WITHIN)
        try:
            told = restore(calm, self.git.calmly(calm), self.place, journal)
        except JobError as error:
            told = f"what was there before is not back, the next deploy tries again: {error.message}"
        calm.log(told)
        return told

    def _own(self) -> Git:
        return own_git(self.git, self.place)

    def _require_usable(self, own: Git) -> str | None:
        """Return the commit that is checked out, None in an empty folder; raises BadInputError for anything else."""
        folder = self.place.directory
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return None
        inner = folder / ".git"
        if not folder.is_dir() or inner.is_symlink() or not inner.is_dir():
            raise BadInputError(f"{self.payload.directory} holds something, but is no working copy of git")
        drop_stale_locks(inner)
        lines: list[str] = []
        ended = own.attempt("rev-parse", "--verify", "--quiet", "HEAD^{commit}", on_stdout=lines.append)
        if ended.returncode != 0 or not lines:
            raise BadInputError(f"{self.payload.directory} is a working copy of git without a commit: remove it first")
        return lines[0]

    def _new_journal(self, previous: str | None) -> dict[str, Any]:
        journal: dict[str, Any] = {
            "phase": "copying",
            **by_whom(self.job, self.payload),
            "previous": previous,
            "branch": None,
            "stashed": None,
            "kept": None,
        }
        return journal | {
            "existed": self.place.directory.is_dir(),
            "known": [],
            "unknown": [],
            "copied": [],
            "gone": [],
        }

    def _prepare(self, own: Git, journal: dict[str, Any], commit: str) -> None:
        """Copy aside what git could not bring back, and note what is about to change."""
        self.place.journal.write(journal)
        if journal["previous"] is not None:
            journal |= {"branch": _branch_of(self.place.directory), **self._local(own, commit)}
            local = [*journal["known"], *journal["unknown"]]
            journal["gone"] = [name for name in journal["known"] if not os.path.lexists(self.place.directory / name)]
            if self.payload.build_command is not None:
                journal["kept"] = self.job.isolated(uncommitted, self.place.directory / ".git", own.env)
                keep(self.git, self.place, journal["previous"])
            journal["copied"] = _outermost([*local, *(journal["kept"] or [])])
            self.job.isolated(take, self.place.directory, journal["copied"], self.place.snapshot, self.place.unfinished)
        journal["phase"] = "changing"
        self.place.journal.write(journal)

    def _local(self, own: Git, commit: str) -> dict[str, list[str]]:
        """Return what nobody committed: changes of files that git knows, and files that it does not know.

        A repository in a folder of its own stays where it is. What git was told to ignore does too, unless the commit
        has something in its place.
        """
        found = self.job.isolated(all_changes, self.place.directory / ".git", own.env)
        known = [change.path for change in found if change.is_known]
        unknown = {change.path for change in found if not change.is_known}
        for name in sorted(name for name in unknown if name.endswith("/")):
            self.job.log(f"{name} is a repository of its own and stays as it is")
        covered = self.job.isolated(in_the_way, self.place.directory, own.env, self.place.repository, commit)
        unknown = {name for name in unknown if not name.endswith("/")} | set(covered)
        return {"known": known, "unknown": sorted(unknown)}

    def _check_out(self, own: Git, journal: dict[str, Any], commit: str) -> None:
        if not (self.place.directory / ".git").is_dir():
            begin(self.git, self.place)
        own.run("config", "--replace-all", "remote.origin.url", self.payload.repo_url or "")
        bring(own, self.place, WANTED)
        self._stash(own, journal)
        own.run("checkout", "--quiet", "--force", "--detach", commit)
        say_what_is_left_out(self.job, self.place.directory)

    def _stash(self, own: Git, journal: dict[str, Any]) -> None:
        """Set local changes aside; what the last build left and nobody touched since is none."""
        built = (self.place.built.read() or {}).get("marks", {})

        def is_local(name: str) -> bool:
            return name not in built or mark_of(self.place.directory / name) != built[name]

        known, unknown = ([name for name in journal[kind] if is_local(name)] for kind in ("known", "unknown"))
        local = sorted({*known, *unknown})
        if not local:
            return
        commit = self.job.isolated(
            set_aside,
            self.place.directory,
            own.env,
            known=known,
            unknown=unknown,
            message=f"before deploy {self.job.id}",
            scratch=self.job.workdir,
        )
        shown = [name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for name in local[:MOST_LISTED]]
        stashed = Stashed(commit=commit, files=shown)
        self.job.log(f"{len(local)} local changes are set aside: git stash apply {commit}")
        journal["stashed"] = stashed.model_dump()
        self.place.journal.write(journal)

    def _build_and_check(self, commit: str) -> None:
        if self.payload.build_command is not None:
            self.job.stage("building")
            self.job.progress(40)
            build(self.job, self.place, self.place.directory, self.payload, {})
        if self.payload.health_check is not None:
            self.job.stage("checking")
            self.job.progress(90)
            check_health(self.job, self.payload.health_check, {"commit": commit, "release": ""})

    def _left(self, own: Git) -> dict[str, list[int] | None]:
        """Return what the build left, by which it can be told from local changes; raises BuildFailedError."""
        git_dir = self.place.directory / ".git"
        if self.place.directory.is_symlink() or git_dir.is_symlink():
            raise BuildFailedError("the build put a link in place of the working copy or its repository")
        try:
            names = [change.path for change in self.job.isolated(changes, git_dir, own.env)]
        except CommandFailedError as error:
            raise BuildFailedError(f"the build broke the working copy's repository: {error.message}") from error
        return self.job.isolated(marks, self.place.directory, names)

    def _conclude(self, own: Git, journal: Mapping[str, Any]) -> DeployResult:
        """Tell what was done; it is, whatever becomes of the job now. For this to be told again the journal stays."""
        commit, previous = journal["commit"], journal["previous"]
        calm = self.job.closing(_RESTORED_WITHIN)
        with suppress(JobError):  # the next copy is made in its place
            calm.isolated(forget, self.place.snapshot)
        found = calm.isolated(facts, self.place.directory / ".git", own.env, commit, previous, MOST_LISTED)
        return DeployResult(
            commit=commit,
            previous_commit=previous,
            branch=self.payload.branch,
            author=found.author,
            subject=found.subject,
            changed_files=list(found.changed),
            changed_files_total=found.total,
            duration=0,
            release=None,
            rolled_back=False,
            stashed=journal["stashed"] and Stashed.model_validate(journal["stashed"]),
        )


def _branch_of(folder: Path) -> str | None:
    """Return the branch that is checked out, such as refs/heads/main, if one is."""
    found = re.fullmatch(r"ref: (refs/heads/\S+)\n", (folder / ".git" / "HEAD").read_text("utf-8", "surrogateescape"))
    return found and found[1]


def _outermost(names: list[str]) -> list[str]:
    """Leave out what lies within a folder of the list; sorted names have it right after that folder."""
    kept: list[str] = []
    for name in sorted(names, key=lambda name: name.split("/")):
        if not kept or not name.startswith(f"{kept[-1]}/"):
            kept.append(name)
    return kept
