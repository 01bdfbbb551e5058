"""What a deploy takes and gives, and what is refused before anything runs."""

import re
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from workers._git_names import check_ref, check_url
from workplatform.errors import UrlForbiddenError
from workplatform.models import Payload, Result, WireModel
from workplatform.urls import http_url

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_VARIABLES: Final = 200
_LONGEST_VALUE_BYTES: Final = 32_768
_LARGEST_ENV_BYTES: Final = 1 << 20  # Linux starts no program with more than 2 MiB of variables and words
# Through these a build would start what is not its own before its first command, or break its own runner.
_NOT_FOR_BUILDS: Final = ("LD_", "DYLD_", "WORKPLATFORM_")

MOST_LISTED: Final = 500


class HealthCheck(WireModel):
    """What has to answer before a deploy counts."""

    url: str = Field(
        max_length=2000,
        description="Asked with GET; {release} and {commit} stand for those of the deploy",
        examples=["https://example.com/healthz"],
    )
    status: int = Field(200, ge=100, le=599, description="The status that it has to answer", examples=[200])
    patience: float = Field(60.0, gt=0, le=3600, description="Seconds until it has to be right", examples=[60])
    interval: float = Field(1.0, ge=0.1, le=60, description="Seconds between requests", examples=[1])

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        try:
            http_url(url.replace("{release}", "release").replace("{commit}", "commit"))
        except UrlForbiddenError as error:
            raise ValueError(error.message) from error
        return url


class DeployPayload(Payload):
    """What to deploy, where to, and how."""

    project_id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="The project; of its deploys one runs at a time, in the whole fleet",
        examples=["myspeedtest"],
    )
    repo_url: str | None = Field(
        None,
        max_length=2000,
        description="The repository: an http, https or ssh URL, or a folder that jobs may read",
        examples=["https://github.com/user/repo.git"],
    )
    branch: str | None = Field(None, max_length=250, description="The branch to deploy", examples=["master"])
    commit: str | None = Field(
        None,
        pattern=r"^[0-9a-fA-F]{7,64}$",
        description="The commit to deploy, in place of a branch; at least 7 of its digits",
        examples=["3f2c1e0"],
    )
    tag: str | None = Field(
        None, max_length=250, description="The tag to deploy, in place of a branch", examples=["v1"]
    )
    directory: str = Field(
        min_length=1, max_length=4000, description="The project's folder", examples=["/srv/www/myspeedtest"]
    )
    build_command: str | None = Field(
        None,
        min_length=1,
        max_length=20_000,
        description="What builds it, for sh; without, nothing is built",
        examples=["npm ci && npm run build"],
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        max_length=_MOST_VARIABLES,
        description="Environment of the build, besides PATH and HOME",
        examples=[{"NODE_ENV": "production"}],
    )
    strategy: Literal["in-place", "releases"] = Field(
        "in-place",
        description="in-place: check out and build in the folder; releases: a fresh folder each, then switch `current`",
        examples=["releases"],
    )
    health_check: HealthCheck | None = Field(
        None,
        description="What has to answer before the deploy counts",
        examples=[{"url": "https://example.com/healthz", "status": 200, "patience": 60}],
    )
    keep_releases: int = Field(5, ge=1, le=1000, description="Releases kept, the current one too", examples=[5])
    rollback: bool = Field(
        False, description="Deploy nothing; switch back to the release before the current one", examples=[False]
    )
    supersede: Literal["queued", "running"] = Field(
        "queued",
        description="Which older deploys of the project this one cancels: those that wait, or a running one too",
        examples=["queued"],
    )
    secret: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
        description="Name of the operator's secret for the repository: a token or an SSH key",
        examples=["github"],
    )
    build_timeout: float = Field(1800.0, gt=0, le=10_800, description="Seconds that the build may take", examples=[600])
    build_memory: int = Field(
        4 << 30,
        ge=16 << 20,
        description="Bytes of memory that the build's processes may use together",
        examples=[2147483648],
    )
    build_output: int = Field(64 << 20, ge=1000, description="Bytes that the build may print", examples=[67108864])

    @field_validator("repo_url")
    @classmethod
    def _right_url(cls, url: str | None) -> str | None:
        return None if url is None else check_url(url)

    @field_validator("branch", "tag")
    @classmethod
    def _right_ref(cls, ref: str | None) -> str | None:
        return None if ref is None else check_ref(ref)

    @field_validator("directory")
    @classmethod
    def _right_folder(cls, path: str) -> str:
        if path.startswith("-") or not path.isprintable():
            raise ValueError("must not begin with a dash or hold control characters")
        return path

    @field_validator("build_command")
    @classmethod
    def _right_command(cls, command: str | None) -> str | None:
        if command is not None and "\0" in command:
            raise ValueError("must not hold a zero byte")
        return command

    @field_validator("env")
    @classmethod
    def _right_env(cls, env: dict[str, str]) -> dict[str, str]:
        for name, value in env.items():
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a variable")
            if name.startswith(_NOT_FOR_BUILDS):
                raise ValueError(f"{name} must not be set for a build")
            if "\0" in value or len(value.encode()) > _LONGEST_VALUE_BYTES:
                raise ValueError(f"{name} is too long, or holds a zero byte")
        if sum(len(f"{name}={value}".encode()) + 1 for name, value in env.items()) > _LARGEST_ENV_BYTES:
            raise ValueError(f"the variables take more than {_LARGEST_ENV_BYTES} bytes together")
        return env

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        wanted = [word for word in (self.branch, self.commit, self.tag) if word is not None]
        if self.rollback:
            if self.strategy != "releases":
                raise ValueError("rollback needs strategy releases: in place there is only one release")
            if wanted or self.build_command or self.repo_url:
                raise ValueError("a rollback takes no repoUrl, branch, commit, tag or buildCommand")
            return self
        if self.repo_url is None:
            raise ValueError("repoUrl is required")
        if len(wanted) != 1:
            raise ValueError("name exactly one of branch, commit and tag")
        return self


class Stashed(WireModel):
    """Local changes that were in the way, and where they are now."""

    commit: str = Field(description="The stash commit: `git stash apply COMMIT` brings them back", examples=["9c1e..."])
    files: list[str] = Field(description="The changed files, the first 500", examples=[["config.json"]])


class DeployResult(Result):
    """What is deployed now."""

    commit: str = Field(description="The commit that is deployed", examples=["3f2c1e0..."])
    previous_commit: str | None = Field(description="The one before; null at the first deploy", examples=["1a2b3c4..."])
    branch: str | None = Field(description="The branch, if one was asked for", examples=["master"])
    author: str = Field(description="Who wrote the commit", examples=["Ada Lovelace <ada@example.com>"])
    subject: str = Field(description="First line of the commit's message", examples=["Fix the login"])
    changed_files: list[str] = Field(
        description="Files that differ from the previous commit, the first 500", examples=[["index.html"]]
    )
    changed_files_total: int = Field(description="How many files differ", examples=[1])
    duration: int = Field(description="Milliseconds that the deploy took", examples=[4200])
    release: str | None = Field(
        description="The release's name, with strategy releases", examples=["20260102T030405Z-3f2c1e0"]
    )
    rolled_back: bool = Field(description="Whether this went back to an earlier release", examples=[False])
    stashed: Stashed | None = Field(description="Local changes that were set aside", examples=[None])
