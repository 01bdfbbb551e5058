"""Deploys into a folder where it is: a working copy that goes back to what it was if anything goes wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from workers._build import build, end_builds
from workers._deploy_health import check_health
from workers._deploy_models import MOST_LISTED, DeployPayload, DeployResult, Stashed
from workers._deploy_place import Place
from workers._deploy_snapshot import empty, forget, give_back, mark_of, marks, take
from workers._git import Git, drop_stale_locks
from workers._git_fetch import WANTED
from workers._git_reading import Change, changes, facts, others
from workplatform.context import JobContext
from workplatform.errors import (
    BadInputError,
    BuildFailedError,
    CommandFailedError,
    HealthCheckError,
)
from workplatform.lateness import TimeLimitError

_RESTORED_WITHIN: Final = timedelta(minutes=5)
_TOLD: Final = (BuildFailedError, HealthCheckError, TimeLimitError, CommandFailedError)


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
        self._require_usable()
        previous = self._head()
        self.job.stage("checking out")
        self.job.confirm()
        journal = self._prepare(previous)
        try:
            stashed = self._check_out(commit, journal)
            self._build_and_check(commit)
            self.job.confirm()
        except Exception as error:
            calm = self.job.closing(_RESTORED_WITHIN)
            told = self._restore(calm, self.place.journal.read() or journal)
            calm.log(told)
            if isinstance(error, _TOLD):
                raise type(error)(f"{error.message}; {told}") from error
            raise
        return self._finish(commit, previous, stashed)

    @property
    def _own(self) -> Git:
        return self.git.within(self.place.directory / ".git", self.place.directory)

    def _require_usable(self) -> None:
        folder = self.place.directory
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        inner = folder / ".git"
        if not folder.is_dir() or inner.is_symlink() or not inner.is_dir():
            raise BadInputError(f"{self.payload.directory} holds something, but is no working copy of git")
        drop_stale_locks(inner)

    def _head(self) -> str | None:
        if not (self.place.directory / ".git").is_dir():
            return None
        lines: list[str] = []
        ended = self._own.attempt("rev-parse", "--verify", "--quiet", "HEAD^{commit}", on_stdout=lines.append)
        return lines[0] if ended.returncode == 0 and lines else None

    def _prepare(self, previous: str | None) -> dict[str, Any]:
        """Copy aside what git could not bring back, and note what is about to change."""
        journal: dict[str, Any] = {"phase": "copying", "previous": previous, "stashed": None, "names": None}
        journal["existed"] = self.place.directory.is_dir()
        journal["hadGit"] = (self.place.directory / ".git").is_dir()
        self.place.journal.write(journal)
        if previous is not None:
            local = [change.path for change in self._changes()]
            if self.payload.build_command is not None:
                names = sorted({*self._others(), *local})
                self.job.isolated(take, self.place.directory, _outermost(names), self.place.snapshot)
                journal["names"] = _outermost(names)
            journal["local"] = local
        journal["phase"] = "changing"
        self.place.journal.write(journal)
        return journal

    def _check_out(self, commit: str, journal: dict[str, Any]) -> Stashed | None:
        folder, own = self.place.directory, self._own
        if not (folder / ".git").is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            self._allowed(self.git).run("init", "--quiet", "--template=", folder)
        url = self.payload.repo_url or ""
        own.run("config", "remote.origin.url", url)
        self._allowed(own).run(
            "fetch",
            "--no-tags",
            "--force",
            "--quiet",
            "--no-write-fetch-head",
            "--",
            self.place.repository,
            f"+{WANTED}:{WANTED}",
        )
        stashed = self._stash(journal)
        own.run("checkout", "--quiet", "--force", "--detach", commit)
        self._say_what_stays_out()
        return stashed

    def _stash(self, journal: dict[str, Any]) -> Stashed | None:
        """Set local changes aside; what the last build left and nobody touched since is none."""
        built = (self.place.built.read() or {}).get("marks", {})
        local = [name for name in journal.get("local", []) if mark_of(self.place.directory / name) != built.get(name)]
        if not local:
            return None
        listed = self.job.workdir / "stash"
        listed.write_bytes(b"\0".join(name.encode("utf-8", "surrogateescape") for name in local))
        words = ("--include-untracked", "--quiet", "--message", f"before deploy {self.job.id}")
        self._own.run("stash", "push", *words, f"--pathspec-from-file={listed}", "--pathspec-file-nul")
        (name,) = self._own.run("rev-parse", "refs/stash")
        shown = [name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for name in local[:MOST_LISTED]]
        stashed = Stashed(commit=name, files=shown)
        self.job.log(f"{len(local)} local changes are set aside: git stash apply {name}")
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
        names = [change.path for change in self._changes()]
        left = self.job.isolated(marks, self.place.directory, names)
        self.place.built.write({"marks": left})
        self.place.journal.close()
        self.job.isolated(forget, self.place.snapshot)
        found = self.job.isolated(facts, self.place.directory / ".git", self._own.env, commit, previous, MOST_LISTED)
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
            if not journal["hadGit"]:
                job.isolated(empty, folder, but_itself=journal["existed"])
        elif journal["phase"] == "changing":
            own = self._own.calmly(job)
            drop_stale_locks(folder / ".git")
            own.run("checkout", "--quiet", "--force", "--detach", previous)
            if journal["names"] is not None:
                job.isolated(give_back, folder, own.env, journal["names"], self.place.snapshot)
        self.place.journal.close()
        job.isolated(forget, self.place.snapshot)
        if previous is None:
            return "nothing was deployed before, and nothing is now"
        kept = f" (local changes are kept as stash {stash['commit']})" if (stash := journal.get("stashed")) else ""
        return f"commit {previous[:10]} and what was built from it are back{kept}"

    def _changes(self) -> list[Change]:
        return self.job.isolated(changes, self.place.directory / ".git", self._own.env)

    def _others(self) -> list[str]:
        return self.job.isolated(others, self.place.directory / ".git", self._own.env)

    def _allowed(self, git: Git) -> Git:
        """Return git that may fetch from folders: from our own repository."""
        return Git(git.job, {**git.env, "GIT_ALLOW_PROTOCOL": "file"}, git.hidden)

    def _say_what_stays_out(self) -> None:
        if (self.place.directory / ".gitmodules").is_file():
            self.job.log("the repository has submodules; they are not fetched, their folders stay empty")
        attributes = self.place.directory / ".gitattributes"
        if attributes.is_file() and "filter=" in attributes.read_text("utf-8", "replace"):
            self.job.log("the repository asks for filters (Git LFS?); none runs, files are as they are committed")


def _outermost(names: list[str]) -> list[str]:
    """Leave out what lies within a folder of the list; sorted names have it right after that folder."""
    kept: list[str] = []
    for name in sorted(names, key=lambda name: name.split("/")):
        if not kept or not name.startswith(f"{kept[-1]}/"):
            kept.append(name)
    return kept
