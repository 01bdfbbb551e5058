"""Settings: every knob of the platform in one frozen value, read from the environment once."""

import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from workplatform.apikeys import all_keys, read_api_keys
from workplatform.errors import SettingsError
from workplatform.secretfiles import with_secrets
from workplatform.setting_kinds import (
    AbsolutePath,
    Jobs,
    Kept,
    LimitText,
    Paths,
    RedisUrl,
    Seconds,
    Words,
    is_loopback,
    split,
)
from workplatform.setting_names import FAMILIES, concurrency_name, dashed, problem
from workplatform.signing import read_keys

Source = Literal["environment", ".env", "default"]


def _is_secret(annotation: object) -> bool:
    return SecretStr in (annotation, *get_args(annotation))


class Settings(BaseModel):
    """The platform's configuration; the environment's names are these in upper case."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    bind_host: str = Field("127.0.0.1", description="Address the API listens on; without API_KEY only loopback")
    port: int = Field(4002, ge=1, le=65535, description="Port of the API")
    api_key: SecretStr | None = Field(
        None, description="Key that every API call must bring; empty means keyless on loopback"
    )
    api_keys: SecretStr | None = Field(
        None, description="Further keys as name:key, comma-separated; turns and limits go by the names"
    )
    cors_origins: Words = Field((), description="Web origins that may call the API with a key, comma-separated")
    queue_type: Literal["memory", "redis"] = Field(
        "memory", description="memory: an embedded server under DATA_DIR; redis: the server at REDIS_URL"
    )
    redis_url: RedisUrl = Field(
        SecretStr("redis://localhost:6379"), description="The Redis or Valkey server for QUEUE_TYPE=redis"
    )
    redis_password: SecretStr | None = Field(None, description="Password of that server, if REDIS_URL has none")
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
    limits: Mapping[str, LimitText] = Field(
        {}, description="Limits of job types and API keys, as LIMIT_HLS=2 or LIMIT_KEY_SHOP=4, 10/s"
    )
    queue_depth_max: int = Field(
        1_000_000, ge=0, description="Jobs that may wait in a queue before it takes no more in; 0 is any number"
    )
    redis_memory_share: float = Field(
        0.9, gt=0, le=1, description="Share of Redis's maxmemory above which submissions are refused"
    )
    node_name: str = Field(
        default_factory=socket.gethostname, pattern=r"^[\w.-]+$", description="Name of this node, unique in the fleet"
    )
    lease: Seconds = Field(timedelta(seconds=12), description="Seconds that a silent worker keeps its jobs")
    heartbeat: Seconds = Field(
        timedelta(seconds=1), description="Seconds between renewals of a lease, and until a cancellation is noticed"
    )
    deaf_after: Seconds = Field(
        timedelta(seconds=15),
        description="Seconds after which a worker that takes none of the jobs it could take starts again",
    )
    shutdown_grace: Seconds = Field(
        timedelta(seconds=10), description="Seconds that running jobs get to end when the platform stops"
    )
    retention: Seconds = Field(timedelta(days=7), description="Seconds that a finished job and its log are kept")
    retentions: Mapping[str, Kept] = Field(
        {}, description="The same by status or type, and numbers, as RETENTION_FAILED=2592000"
    )
    outputs_expire: bool = Field(False, description="What jobs make below DATA_DIR is removed with them")
    durability: Literal["everysec", "always"] = Field(
        "everysec", description="always: what is acknowledged is on disk; everysec: within a second"
    )
    ffmpeg_bin: str = Field("", description="The ffmpeg program; empty takes the one that came with pip")
    chromium_bin: str = Field("", description="The Chromium for downloads that need a browser; empty finds one")
    browser_python: str = Field(
        "", description="The Python that has pyppeteer; empty is what `workplatform browser install` made"
    )
    task_events: bool = Field(
        False, description="Workers send the task events that Flower shows; `up --flower` switches them on"
    )
    flower_port: int = Field(5555, ge=1, le=65535, description="Port of Flower, on BIND_HOST")
    alive_dir: str = Field("", description="Folder of the roles' signs of life; empty is DATA_DIR/run/alive")
    s3_endpoint: str = Field(
        "", pattern=r"^(https?://[^/?#@]+/?)?$", description="URL of the S3-compatible store; empty is AWS"
    )
    s3_region: str = Field("us-east-1", description="Region of the store; auto for Cloudflare R2")
    s3_access_key_id: SecretStr | None = Field(
        None, description="Key id for the store; empty takes what boto3 finds (AWS_..., a role)"
    )
    s3_secret_access_key: SecretStr | None = Field(None, description="Secret key for the store")
    s3_buckets: Words = Field((), description="Buckets that jobs may read and write, comma-separated; empty is none")
    s3_public_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="Base of the public addresses of objects; {bucket} stands for the bucket",
    )
    secrets_dir: str = Field("", description="Folder with one file a secret that deploys may name; empty is none")
    webhook_secret: SecretStr | None = Field(
        None, description="Secret (whsec_...) that signs callbacks; several, the newest first, are separated by spaces"
    )
    max_input_bytes: int = Field(
        32 << 30, ge=1, description="Largest file in bytes that a job fetches from a URL or a store as its input"
    )
    scratch_limit_bytes: int = Field(
        100 * 10**9, ge=1_000_000, description="Bytes on disk that one attempt may have before its outputs are in place"
    )
    min_free_bytes: int = Field(
        250 * 10**6,
        ge=0,
        description="Bytes of each disk that jobs and uploads leave free; of a small one at most a twentieth",
    )
    max_body_bytes: int = Field(10_000_000, ge=1000, description="Largest request body of the API in bytes")
    max_upload_bytes: int = Field(32 << 30, ge=1000, description="Largest file, or form with files, that the API takes")
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: coloured on a terminal, JSON lines elsewhere"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level logged")

    @field_validator(
        "api_key",
        "api_keys",
        "redis_password",
        "s3_access_key_id",
        "s3_secret_access_key",
        "webhook_secret",
        mode="before",
    )
    @classmethod
    def _empty_secret_is_none(cls, value: object) -> object:
        return value or None

    @field_validator("api_keys", "webhook_secret")
    @classmethod
    def _can_be_read(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None:
            read = read_api_keys if info.field_name == "api_keys" else read_keys
            read(value.get_secret_value())
        return value

    @field_validator("node_name", mode="before")
    @classmethod
    def _plain_node_name(cls, value: object) -> object:
        return re.sub(r"[^\w.-]", "-", value) if isinstance(value, str) else value

    @field_validator("allowed_roots", mode="before")
    @classmethod
    def _some_root(cls, value: object) -> object:
        if isinstance(value, str) and not split(value):  # in code, none but DATA_DIR can be meant
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
        return not self.keys

    @property
    def keys(self) -> Mapping[str, str]:
        """The API keys in the clear, by name."""
        named = read_api_keys(self.api_keys.get_secret_value()) if self.api_keys else {}
        return all_keys(self.api_key.get_secret_value() if self.api_key else None, named)

    @property
    def files_dir(self) -> Path:
        """Where the files that callers send lie."""
        return self.data_dir / "files"

    @property
    def partial_dir(self) -> Path:
        """Where files lie while they are on their way to files_dir."""
        return self.files_dir / ".partial"

    @property
    def run_dir(self) -> Path:
        """Where sockets, locks and the journals of running attempts live."""
        return self.data_dir / "run"

    @property
    def alive_folder(self) -> Path:
        """Where the roles show that they live."""
        return Path(self.alive_dir).expanduser().absolute() if self.alive_dir else self.run_dir / "alive"

    def concurrency_of(self, queue: str, declared: int) -> int:
        """Return how many jobs of a queue one worker runs at a time."""
        return self.concurrency.get(dashed(queue), declared)

    def check_queues(self, queues: Iterable[str]) -> None:
        """Raise SettingsError, naming every CONCURRENCY_... that is for none of the queues."""
        known = {dashed(queue) for queue in queues}
        if unknown := sorted(self.concurrency.keys() - known):
            names = ", ".join(map(concurrency_name, unknown))
            there_are = ", ".join(map(concurrency_name, sorted(known)))
            raise SettingsError(f"{names}: no job type uses such a queue; there are {there_are}")


SECRETS = frozenset(name.upper() for name, info in Settings.model_fields.items() if _is_secret(info.annotation))


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each value came from."""

    settings: Settings
    sources: Mapping[str, Source]


def load(environ: Mapping[str, str] | None = None, *, env_file: Path | None = None) -> Loaded:
    """Read the settings from the environment, then from `.env` in the current folder.

    A secret may be in a file that NAME_FILE names. Raises SettingsError naming every wrong value.
    """
    environ = os.environ if environ is None else environ
    in_file = {k: v for k, v in dotenv_values(env_file or Path(".env")).items() if v is not None}
    values: dict[str, Any] = {}
    sources: dict[str, Source] = dict.fromkeys(Settings.model_fields, "default")
    for origin, mapping in (("environment", environ), (".env", in_file)):
        for name, text in with_secrets(mapping, SECRETS).items():
            field = name.lower()
            if prefix := next(filter(name.startswith, FAMILIES), None):
                family = FAMILIES[prefix]
                values.setdefault(family, {}).setdefault(dashed(field.removeprefix(prefix.lower())), text)
                sources[family] = origin  # type: ignore[assignment]
            elif name == field.upper() and field in Settings.model_fields and field not in values:
                values[field] = text
                sources[field] = origin  # type: ignore[assignment]
    return Loaded(_validate(values), sources)


def _validate(values: Mapping[str, Any]) -> Settings:
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems = [problem(item["loc"], item["msg"]) for item in error.errors()]
        raise SettingsError("; ".join(problems)) from error
    if settings.is_keyless and not is_loopback(settings.bind_host):
        raise SettingsError(
            f"BIND_HOST={settings.bind_host} would let anyone submit jobs: set API_KEY, or leave BIND_HOST at 127.0.0.1"
        )
    return settings
