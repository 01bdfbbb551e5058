"""Deploys into fresh folders, and switches the link `current` to the one that is well."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from workers._build import build, end_builds
from workers._deploy_failing import raise_with
from workers._deploy_health import check_health
from workers._deploy_left_out import say_what_is_left_out
from workers._deploy_models import MOST_LISTED, DeployPayload, DeployResult
from workers._deploy_place import Journal, Place, by_whom, is_told_at_once, sync_folder, was_by
from workers._deploy_snapshot import forget
from workers._git import Git
from workers._git_reading import Facts, facts
from workplatform.clock import CLOCK
from workplatform.context import JobContext
from workplatform.errors import BadInputError, BuildFailedError, CommandFailedError, JobError

_CLEANED_WITHIN: Final = timedelta(minutes=5)
_NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{10}(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Releases:
    """The folder of a project with `releases/` and `current` in it."""

    job: JobContext
    git: Git
    place: Place
    payload: DeployPayload

    def recover(self) -> DeployResult | None:
        """Remove the release that an attempt left half made whose worker died, unless it is the current one.

        Returns the result if that attempt was one of this very job's, which must not switch twice.
        """
        end_builds(self.place)
        under_way = self.place.journal.read()
        if under_way is None:
            return None
        has_switched = under_way["release"] == self._current()
        if has_switched and was_by(under_way, self.job, self.payload):
            return self._conclude(under_way) if is_told_at_once(under_way, self.job, self.payload) else None
        if under_way.get("phase") != "done":
            self._undo(under_way, has_switched=has_switched)
        self.place.journal.close()
        return None

    def _undo(self, under_way: Mapping[str, Any], *, has_switched: bool) -> None:
        if not under_way.get("rolledBack"):
            self._clear(self.job, str(under_way["release"]))
        elif has_switched:
            self._put_first(str(under_way["left"]))

    def deploy(self, commit: str) -> DeployResult:
        """Make a release, build and check it, and switch to it; nothing is switched if anything fails."""
        done = self.place.journal.read()
        if done is not None and done["commit"] == commit:
            return self._conclude(done)
        self._require_usable()
        name = self._new_name(commit)
        self.job.stage("checking out")
        journal = {"release": name, "commit": commit, **self._before()}
        self.place.journal.write(journal)
        try:
            self._check_out(name, commit)
            self._build_and_check(name, commit)
            self._require_whole(name)
            self.job.stage("switching")
            self.job.progress(95)
            self._list_last({"release": name, "commit": commit, "branch": self.payload.branch})
            self.job.confirm()
            self._switch(name)
        except Exception as error:
            told = self._clear(self.job.closing(_CLEANED_WITHIN), name)
            raise_with(told, error)
            raise
        return self._conclude(journal)

    def roll_back(self) -> DeployResult:
        """Switch to the release that was current before; the one that is left is never gone back to."""
        self.job.stage("switching")
        current, earlier = self._current(), self._earlier()
        journal = {"release": earlier["release"], "commit": earlier["commit"], **self._before()}
        self.job.confirm()
        self.place.journal.write({**journal, "rolledBack": True})
        self._switch(earlier["release"])
        self.job.log(f"switched from {current} back to {earlier['release']}")
        return self._conclude({**journal, "rolledBack": True})

    @property
    def _folder(self) -> Path:
        return self.place.directory / "releases"

    @property
    def _link(self) -> Path:
        return self.place.directory / "current"

    @property
    def _register(self) -> Journal:
        return Journal(self.place.state / "releases.json")

    def _earlier(self) -> dict[str, Any]:
        """Return the release to go back to: there, and older than the current one, which may have been removed."""
        self._require_link()
        made, current, link = self._made(), self._current(), f"{self.payload.directory}/current"
        names = [entry["release"] for entry in made]
        if current is None:
            raise BadInputError(f"there is no current release to go back from: {link} is not there")
        if current not in names:
            raise BadInputError(f"{link} leads to {self._link.readlink()}, which is no release that is known here")
        good = [entry for entry in made[: names.index(current)] if self._is_there(entry) and not entry.get("wasLeft")]
        if not good:
            raise BadInputError("there is no earlier release to go back to")
        return good[-1]

    def _require_link(self) -> None:
        if self._link.exists() and not self._link.is_symlink():
            raise BadInputError(f"{self.payload.directory}/current is no link; move it away first")

    def _require_usable(self) -> None:
        self._require_link()
        if self._folder.is_symlink() or (self._folder.exists() and not self._folder.is_dir()):
            raise BadInputError(f"{self.payload.directory}/releases is no folder; move it away first")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BadInputError(f"{self.payload.directory}/releases cannot be made: {reason}") from error

    def _require_whole(self, name: str) -> None:
        """Refuse to switch to what a build removed or put elsewhere, though it ended well."""
        folder = self._folder / name
        if self._folder.is_symlink() or folder.is_symlink() or not folder.is_dir():
            raise BuildFailedError(f"the build removed or replaced its own folder, releases/{name}")
        if self._link.exists() and not self._link.is_symlink():
            raise BuildFailedError("the build put something else in place of the link `current`")

    def _current(self) -> str | None:
        return self._link.readlink().name if self._link.is_symlink() else None

    def _listed(self) -> list[dict[str, Any]]:
        """Return the releases that are there, the one that was current last at the end."""
        return [entry for entry in self._made() if self._is_there(entry)]

    def _made(self) -> list[dict[str, Any]]:
        """Return the same, with those that somebody else has removed since the last deploy."""
        made: list[dict[str, Any]] = (self._register.read() or {}).get("releases", [])
        return made

    def _is_there(self, entry: Mapping[str, Any]) -> bool:
        return (self._folder / str(entry["release"])).is_dir()

    def _before(self) -> dict[str, Any]:
        """Return by whom what comes is made, and what is current, for its journal."""
        current = self._current()
        commits = {entry["release"]: entry["commit"] for entry in self._made()}
        return {**by_whom(self.job, self.payload), "left": current, "previous": commits.get(current)}

    def _list(self, entries: list[dict[str, Any]]) -> None:
        self._register.write({"releases": entries})

    def _list_last(self, entry: dict[str, Any]) -> None:
        """Put a release behind the current one."""
        listed, current = self._listed(), self._current()
        names = [known["release"] for known in listed]
        at = names.index(current) + 1 if current in names else len(listed)
        self._list([*listed[:at], entry, *listed[at:]])

    def _new_name(self, commit: str) -> str:
        stem = f"{CLOCK.now():%Y%m%dT%H%M%SZ}-{commit[:10]}"
        name, number = stem, 1
        while (self._folder / name).exists():
            number += 1
            name = f"{stem}.{number}"
        return name

    def _check_out(self, name: str, commit: str) -> None:
        folder = self._folder / name
        folder.mkdir()
        inside = self.git.within(self.place.repository, folder)
        fresh = Git(self.job, {**inside.env, "GIT_INDEX_FILE": str(self.job.workdir / "index")}, inside.hidden)
        fresh.run("read-tree", "--reset", "-u", commit)
        say_what_is_left_out(self.job, folder)

    def _build_and_check(self, name: str, commit: str) -> None:
        if self.payload.build_command is not None:
            self.job.stage("building")
            self.job.progress(40)
            variables = {"RELEASE": name}
            build(self.job, self.place, self._folder / name, self.payload, variables)
        if self.payload.health_check is not None:
            self.job.stage("checking")
            self.job.progress(90)
            check_health(self.job, self.payload.health_check, {"commit": commit, "release": name})

    def _switch(self, name: str) -> None:
        """Point `current` to a release in one step: whoever opens it sees the old one or the new one."""
        beside = self._link.with_name(".current.new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(Path("releases") / name)
        os.replace(beside, self._link)  # noqa: PTH105 - the link itself, wherever it leads
        sync_folder(self.place.directory)

    def _clear(self, job: JobContext, name: str) -> str:
        """Remove a release that did not become the current one, and say what is."""
        current = self._current()
        if current != name and _NAME.fullmatch(name):
            job.isolated(forget, self._folder / name)
            self._list(self._listed())
        self.place.journal.close()
        told = f"{current} is still the current release" if current else "there is no current release"
        job.log(told)
        return told

    def _prune(self, calm: JobContext) -> None:
        """Remove the oldest releases; what cannot be removed stays, and the next deploy tries again."""
        listed, current = self._listed(), self._current()
        doomed = [entry for entry in listed if entry["release"] != current]
        doomed = doomed[: max(len(listed) - self.payload.keep_releases, 0)]
        # What is removed in part, and stays so, must not be gone back to.
        self._list([{**entry, "wasLeft": True} if entry in doomed else entry for entry in listed])
        try:
            for entry in doomed:
                calm.isolated(forget, self._folder / entry["release"])
        except JobError as error:
            calm.log(f"an old release stays: {error.message}")
        self._list(self._listed())

    def _conclude(self, journal: Mapping[str, Any]) -> DeployResult:
        """Do what is left to do after the switch, and tell; may be repeated, and nothing takes the switch back.

        The journal stays for an attempt that has to tell it again.
        """
        calm = self.job.closing(_CLEANED_WITHIN)
        if journal.get("rolledBack"):
            self._put_first(str(journal["left"]))
        else:
            self._prune(calm)
        self.place.journal.write({**journal, "phase": "done"})
        return self._result(calm, journal)

    def _put_first(self, name: str) -> None:
        """Have a release be the first to go, and none to go back to."""
        listed = self._listed()
        left = [{**entry, "wasLeft": True} for entry in listed if entry["release"] == name]
        self._list([*left, *(entry for entry in listed if entry["release"] != name)])

    def _result(self, calm: JobContext, journal: Mapping[str, Any]) -> DeployResult:
        name, commit, previous = journal["release"], journal["commit"], journal["previous"]
        listed = {entry["release"]: entry for entry in self._listed()}
        found = self._facts(calm, commit, previous)
        return DeployResult(
            commit=commit,
            previous_commit=previous,
            branch=listed[name]["branch"] if name in listed else self.payload.branch,
            author=found.author,
            subject=found.subject,
            changed_files=list(found.changed),
            changed_files_total=found.total,
            duration=0,
            release=name,
            rolled_back=bool(journal.get("rolledBack")),
            stashed=None,
        )

    def _facts(self, calm: JobContext, commit: str, previous: str | None) -> Facts:
        try:
            return calm.isolated(facts, self.place.repository, self.git.env, commit, previous, MOST_LISTED)
        except CommandFailedError:
            calm.log(f"our store has commit {commit[:10]} no more: what it was is not known")
            return Facts("", "", (), 0)
