"""Deploys into a folder where it is: a working copy that goes back to what it was if anything goes wrong."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from workers._build import build, end_builds
from workers._deploy_failing import raise_with
from workers._deploy_health import check_health
from workers._deploy_models import MOST_LISTED, DeployPayload, DeployResult, Stashed
from workers._deploy_place import Place
from workers._deploy_snapshot import empty, forget, give_back, mark_of, marks, take
from workers._git import Git, drop_stale_locks, without_filters
from workers._git_fetch import WANTED
from workers._git_reading import Change, changes, facts, others
from workers._git_stash import in_the_way, set_aside
from workplatform.context import JobContext
from workplatform.errors import BadInputError

_RESTORED_WITHIN: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class WorkingCopy:
    """The folder of a project that is deployed in place."""

    job: JobContext
    git: Git
    place: Place
    payload: DeployPayload

    def recover(self) -> None:
        """Undo what an attempt left half done whose worker died."""
        end_builds(self.place)
        under_way = self.place.journal.read()
        if under_way is not None:
            self.job.log("an earlier deploy was cut off: putting back what was there before it")
            self._restore(self.job, under_way)

    def deploy(self, commit: str) -> DeployResult:
        """Check out a commit, build and check it; puts back what was there if that fails, and says so."""
        previous = self._require_usable()
        self.job.stage("checking out")
        self.job.confirm()
        journal = self._new_journal(previous)
        try:
            self._prepare(journal, commit)
            stashed = self._check_out(commit, journal)
            self._build_and_check(commit)
            self.job.confirm()
        except Exception as error:
            calm = self.job.closing(_RESTORED_WITHIN)
            told = self._restore(calm, self.place.journal.read() or journal)
            calm.log(told)
            raise_with(told, error)
            raise
        return self._finish(commit, previous, stashed)

    def _own(self) -> Git:
        """Return git for the working copy, whatever its configuration says by now."""
        return without_filters(self.git.within(self.place.directory / ".git", self.place.directory))

    def _require_usable(self) -> str | None:
        """Return the commit that is checked out, None in an empty folder; raises BadInputError for anything else."""
        folder = self.place.directory
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return None
        inner = folder / ".git"
        if not folder.is_dir() or inner.is_symlink() or not inner.is_dir():
            raise BadInputError(f"{self.payload.directory} holds something, but is no working copy of git")
        drop_stale_locks(inner)
        lines: list[str] = []
        ended = self._own().attempt("rev-parse", "--verify", "--quiet", "HEAD^{commit}", on_stdout=lines.append)
        if ended.returncode != 0 or not lines:
            raise BadInputError(f"{self.payload.directory} is a working copy of git without a commit: remove it first")
        return lines[0]

    def _new_journal(self, previous: str | None) -> dict[str, Any]:
        journal: dict[str, Any] = {
            "phase": "copying",
            "previous": previous,
            "branch": None,
            "stashed": None,
            "kept": None,
        }
        return journal | {"existed": self.place.directory.is_dir(), "known": [], "unknown": [], "copied": []}

    def _prepare(self, journal: dict[str, Any], commit: str) -> None:
        """Copy aside what git could not bring back, and note what is about to change."""
        self.place.journal.write(journal)
        if journal["previous"] is not None:
            own = self._own()
            journal |= {"branch": _branch_of(self.place.directory), **self._local(own, commit)}
            local = [*journal["known"], *journal["unknown"]]
            if self.payload.build_command is not None:
                journal["kept"] = self.job.isolated(others, self.place.directory / ".git", own.env)
            journal["copied"] = _outermost([*local, *(journal["kept"] or [])])
            self.job.isolated(take, self.place.directory, journal["copied"], self.place.snapshot)
        journal["phase"] = "changing"
        self.place.journal.write(journal)

    def _local(self, own: Git, commit: str) -> dict[str, list[str]]:
        """Return what nobody committed: changes of files that git knows, and files that it does not know.

        A repository in a folder of its own stays where it is. What git was told to ignore does too, unless the commit
        has something in its place.
        """
        found = self._changes(own)
        known = [change.path for change in found if change.is_known]
        unknown = {change.path for change in found if not change.is_known}
        for name in sorted(name for name in unknown if name.endswith("/")):
            self.job.log(f"{name} is a repository of its own and stays as it is")
        covered = self.job.isolated(in_the_way, self.place.directory, own.env, self.place.repository, commit)
        unknown = {name for name in unknown if not name.endswith("/")} | set(covered)
        return {"known": known, "unknown": sorted(unknown)}

    def _check_out(self, commit: str, journal: dict[str, Any]) -> Stashed | None:
        folder = self.place.directory
        if not (folder / ".git").is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            self._allowed(self.git).run("init", "--quiet", "--template=", folder)
        own = self._own()
        own.run("config", "remote.origin.url", self.payload.repo_url or "")
        options = ("--no-tags", "--force", "--quiet", "--no-write-fetch-head", "--upload-pack=git-upload-pack", "--")
        self._allowed(own).run("fetch", *options, self.place.repository, f"+{WANTED}:{WANTED}")
        stashed = self._stash(own, journal)
        own.run("checkout", "--quiet", "--force", "--detach", commit)
        self._say_what_stays_out()
        return stashed

    def _stash(self, own: Git, journal: dict[str, Any]) -> Stashed | None:
        """Set local changes aside; what the last build left and nobody touched since is none."""
        built = (self.place.built.read() or {}).get("marks", {})

        def is_local(name: str) -> bool:
            return name not in built or mark_of(self.place.directory / name) != built[name]

        known, unknown = ([name for name in journal[kind] if is_local(name)] for kind in ("known", "unknown"))
        local = sorted([*known, *unknown])
        if not local:
            return None
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
        return stashed

    def _build_and_check(self, commit: str) -> None:
        if self.payload.build_command is not None:
            self.job.stage("building")
            self.job.progress(40)
            build(self.job, self.place, self.place.directory, self.payload, {})
        if self.payload.health_check is not None:
            self.job.stage("checking")
            self.job.progress(90)
            check_health(self.job, self.payload.health_check, {"commit": commit, "release": ""})

    def _finish(self, commit: str, previous: str | None, stashed: Stashed | None) -> DeployResult:
        """Note what the build made, and that nothing is under way any more."""
        own = self._own()
        names = [change.path for change in self._changes(own)]
        left = self.job.isolated(marks, self.place.directory, names)
        self.place.built.write({"marks": left})
        self.place.journal.close()
        self.job.isolated(forget, self.place.snapshot)
        found = self.job.isolated(facts, self.place.directory / ".git", own.env, commit, previous, MOST_LISTED)
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
            stashed=stashed,
        )

    def _restore(self, job: JobContext, journal: Mapping[str, Any]) -> str:
        """Bring back what was there, and say it; goes on where an earlier try was cut off."""
        previous, folder = journal["previous"], self.place.directory
        if journal["phase"] == "changing" and previous is None:
            job.isolated(empty, folder, but_itself=journal["existed"])
        elif journal["phase"] == "changing":
            drop_stale_locks(folder / ".git")
            own = without_filters(self.git.within(folder / ".git", folder).calmly(job))
            own.run("checkout", "--quiet", "--force", "--detach", previous)
            if journal["branch"]:
                own.run("symbolic-ref", "HEAD", journal["branch"])  # it is where it was: nothing moves branches
            copied, kept = journal["copied"], journal["kept"]
            job.isolated(give_back, folder, own.env, copied=copied, kept=kept, snapshot=self.place.snapshot)
        self.place.journal.close()
        job.isolated(forget, self.place.snapshot)
        if previous is None:
            return "nothing was deployed before, and nothing is now"
        kept = f" (local changes are kept as stash {stash['commit']})" if (stash := journal.get("stashed")) else ""
        return f"commit {previous[:10]} and what was built from it are back{kept}"

    def _changes(self, own: Git) -> list[Change]:
        return self.job.isolated(changes, self.place.directory / ".git", own.env)

    def _allowed(self, git: Git) -> Git:
        """Return git that may fetch from folders: from our own repository."""
        return Git(git.job, {**git.env, "GIT_ALLOW_PROTOCOL": "file"}, git.hidden)

    def _say_what_stays_out(self) -> None:
        if (self.place.directory / ".gitmodules").is_file():
            self.job.log("the repository has submodules; they are not fetched, their folders stay empty")
        attributes = self.place.directory / ".gitattributes"
        if attributes.is_file() and "filter=" in attributes.read_text("utf-8", "replace"):
            self.job.log("the repository asks for filters (Git LFS?); none runs, files are as they are committed")


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
