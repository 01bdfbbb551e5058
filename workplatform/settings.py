"""Settings: every knob of the platform in one frozen value, read from the environment once."""

import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from workplatform.errors import SettingsError

CONCURRENCY_PREFIX = "CONCURRENCY_"
Source = Literal["environment", ".env", "default"]
_LONGEST = timedelta(days=3650)
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def _split(value: object) -> object:
    """Turn a comma-separated text into a tuple."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return timedelta(seconds=float(value))
    except ValueError:  # NaN too
        raise ValueError("must be a number of seconds") from None
    except OverflowError:
        return timedelta.min if value.strip().startswith("-") else timedelta.max


def _bounded(value: timedelta) -> timedelta:
    if not timedelta(0) < value <= _LONGEST:
        longest_s = _LONGEST // timedelta(seconds=1)
        raise ValueError(f"must be more than 0 and at most {longest_s} seconds ({_LONGEST.days} days)")
    return value


def _some_jobs(value: int) -> int:
    if not 1 <= value <= 1000:
        raise ValueError("must be 1 to 1000")
    return value


def _redis_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if not url.startswith(_REDIS_SCHEMES):
        raise ValueError(f"must start with {', '.join(_REDIS_SCHEMES[:-1])} or {_REDIS_SCHEMES[-1]}")
    try:
        _ = urlsplit(url).port
    except ValueError:  # its own words could hold the password
        raise ValueError("must be a URL such as redis://host:6379/0") from None
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Paths = Annotated[tuple[AbsolutePath, ...], BeforeValidator(_split)]
Seconds = Annotated[timedelta, BeforeValidator(_seconds), AfterValidator(_bounded)]
Jobs = Annotated[int, AfterValidator(_some_jobs)]


class Settings(BaseModel):
    """The platform's configuration; the environment's names are these in upper case."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    bind_host: str = Field("127.0.0.1", description="Address the API listens on; without API_KEY only loopback")
    port: int = Field(4002, ge=1, le=65535, description="Port of the API")
    api_key: SecretStr | None = Field(
        None, description="Key that every API call must bring; empty means keyless on loopback"
    )
    cors_origins: Words = Field((), description="Web origins that may call the API with a key, comma-separated")
    queue_type: Literal["memory", "redis"] = Field(
        "memory", description="memory: an embedded server under DATA_DIR; redis: the server at REDIS_URL"
    )
    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] = Field(
        SecretStr("redis://localhost:6379"), description="The Redis or Valkey server for QUEUE_TYPE=redis"
    )
    key_prefix: str = Field("wp:", pattern=r"^[\w:.-]*$", description="Prefix of every key and queue in Redis")
    data_dir: AbsolutePath = Field(
        Path("data"), description="Folder of the embedded server's files, scratch space and default outputs"
    )
    allowed_roots: Paths = Field(
        (Path(),), description="Folders that jobs may read and write, comma-separated; DATA_DIR is always one"
    )
    allowed_hosts: Words = Field(
        (), description="Names, addresses or CIDRs of private hosts that the platform may call, comma-separated"
    )
    job_packages: Words = Field(("workers",), description="Python packages with job types, comma-separated")
    max_concurrent_jobs: int = Field(5, ge=1, le=1000, description="Jobs that run on this node at a time, all types")
    concurrency: Mapping[str, Jobs] = Field(
        {}, description="Jobs of one queue at a time per worker, as CONCURRENCY_HLS=1; default: the job type's own"
    )
    node_name: str = Field(
        default_factory=socket.gethostname, pattern=r"^[\w.-]+$", description="Name of this node, unique in the fleet"
    )
    lease: Seconds = Field(timedelta(seconds=12), description="Seconds that a silent worker keeps its jobs")
    heartbeat: Seconds = Field(
        timedelta(seconds=1), description="Seconds between renewals of a lease, and until a cancellation is noticed"
    )
    shutdown_grace: Seconds = Field(
        timedelta(seconds=10), description="Seconds that running jobs get to end when the platform stops"
    )
    retention: Seconds = Field(timedelta(days=7), description="Seconds that a finished job and its log are kept")
    durability: Literal["everysec", "always"] = Field(
        "everysec", description="How often the embedded server syncs its append-only file to disk"
    )
    ffmpeg_bin: str = Field("", description="The ffmpeg program; empty takes the one that came with pip")
    max_body_bytes: int = Field(10_000_000, ge=1000, description="Largest request body of the API in bytes")
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: coloured on a terminal, JSON lines elsewhere"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level logged")

    @field_validator("api_key", mode="before")
    @classmethod
    def _empty_key_is_none(cls, value: object) -> object:
        return value or None

    @field_validator("node_name", mode="before")
    @classmethod
    def _plain_node_name(cls, value: object) -> object:
        return re.sub(r"[^\w.-]", "-", value) if isinstance(value, str) else value

    @field_validator("allowed_roots", mode="before")
    @classmethod
    def _some_root(cls, value: object) -> object:
        if isinstance(value, str) and not _split(value):  # in code, none but DATA_DIR can be meant
            raise ValueError("must name at least one folder")
        return value

    @field_validator("lease")
    @classmethod
    def _lasting_lease(cls, value: timedelta) -> timedelta:
        if value < timedelta(seconds=1):
            raise ValueError("must be at least 1 second")
        return value

    @field_validator("heartbeat")
    @classmethod
    def _beats_within_the_lease(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        if value < timedelta(seconds=0.1):
            raise ValueError("must be at least 0.1 seconds")
        lease = info.data.get("lease")
        if lease is not None and value * 3 > lease:
            raise ValueError("must be at most a third of LEASE, or one lost packet costs the job")
        return value

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders that jobs may use."""
        return tuple(dict.fromkeys((self.data_dir, *self.allowed_roots)))

    @property
    def is_keyless(self) -> bool:
        """Whether anyone on this machine, and nobody else, may use the API."""
        return self.api_key is None

    @property
    def run_dir(self) -> Path:
        """Where sockets, locks and the journals of running attempts live."""
        return self.data_dir / "run"

    def concurrency_of(self, queue: str, declared: int) -> int:
        """Return how many jobs of a queue one worker runs at a time."""
        return self.concurrency.get(_dashed(queue), declared)

    def check_queues(self, queues: Iterable[str]) -> None:
        """Raise SettingsError, naming every CONCURRENCY_... that is for none of the queues."""
        known = {_dashed(queue) for queue in queues}
        if unknown := sorted(self.concurrency.keys() - known):
            names = ", ".join(map(_concurrency_name, unknown))
            there_are = ", ".join(map(_concurrency_name, sorted(known)))
            raise SettingsError(f"{names}: no job type uses such a queue; there are {there_are}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each value came from."""

    settings: Settings
    sources: Mapping[str, Source]


def load(environ: Mapping[str, str] | None = None, *, env_file: Path | None = None) -> Loaded:
    """Read the settings from the environment, then from `.env` in the current folder.

    Raises SettingsError naming every wrong value.
    """
    environ = os.environ if environ is None else environ
    in_file = {k: v for k, v in dotenv_values(env_file or Path(".env")).items() if v is not None}
    values: dict[str, Any] = {}
    concurrency: dict[str, str] = {}
    sources: dict[str, Source] = dict.fromkeys(Settings.model_fields, "default")
    for origin, mapping in (("environment", environ), (".env", in_file)):
        for name, text in mapping.items():
            field = name.lower()
            if name.startswith(CONCURRENCY_PREFIX):
                concurrency.setdefault(_dashed(field.removeprefix(CONCURRENCY_PREFIX.lower())), text)
                sources["concurrency"] = origin  # type: ignore[assignment]
            elif name == field.upper() and field in Settings.model_fields and field not in values:
                values[field] = text
                sources[field] = origin  # type: ignore[assignment]
    if concurrency:
        values["concurrency"] = concurrency
    return Loaded(_validate(values), sources)


def _validate(values: Mapping[str, Any]) -> Settings:
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems = [_problem(item["loc"], item["msg"]) for item in error.errors()]
        raise SettingsError("; ".join(problems)) from error
    if settings.is_keyless and not _is_loopback(settings.bind_host):
        raise SettingsError(
            f"BIND_HOST={settings.bind_host} would let anyone submit jobs: set API_KEY, or leave BIND_HOST at 127.0.0.1"
        )
    return settings


def _problem(location: tuple[int | str, ...], message: str) -> str:
    field, *within = map(str, location)
    name = _concurrency_name(within[0]) if field == "concurrency" and within else "_".join((field, *within)).upper()
    return f"{name}: {message.removeprefix('Value error, ')}"


def _dashed(queue: str) -> str:
    """Return a queue's name as the environment can spell it: there is no `-` in its names."""
    return queue.replace("_", "-")


def _concurrency_name(queue: str) -> str:
    return CONCURRENCY_PREFIX + queue.replace("-", "_").upper()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
