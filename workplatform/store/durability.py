"""Durability: whether what was acknowledged outlives a loss of power, and what has to be done for it."""

import time
from enum import StrEnum
from typing import Final

import redis
from redis.exceptions import RedisError, ResponseError

_ERRORS: Final = (redis.ConnectionError, redis.TimeoutError)
# A server that syncs every second cannot have synced two writes, one after the other, within less.
_NO_SYNC_S: Final = 0.2
_PROBES: Final = 3


class Keeping(StrEnum):
    """How a server keeps what it has acknowledged."""

    AT_ONCE = "at once"
    """Every write is on disk before it is answered (appendfsync always)."""

    ON_REQUEST = "on request"
    """Within a second, and WAITAOF tells when (Redis 7.2 or newer, with an append-only file)."""

    TOO_EARLY = "too early"
    """As above, but WAITAOF tells it before it is so (redis/redis#13793): of no use where power may be lost."""

    WITHIN_A_SECOND = "within a second"
    """Nothing tells when: an older server with an append-only file."""

    UNSYNCED = "when its kernel gets to it"
    """The server never syncs its append-only file (appendfsync no)."""

    NOT = "not"
    """There is no append-only file; what is written between two snapshots is lost with the server."""


def keeping(client: redis.Redis) -> Keeping:
    """Ask a server how it keeps what it writes; raises redis's ConnectionError or TimeoutError.

    Hosted servers often do not let their configuration be read: then what WAITAOF says counts.
    """
    known = _configured(client)
    if known.get("appendonly") == "yes" and known.get("appendfsync") == "always":
        return Keeping.AT_ONCE
    if known.get("appendonly") == "no":
        return Keeping.NOT
    if known.get("appendfsync") == "no":
        return Keeping.UNSYNCED
    try:
        client.execute_command("WAITAOF", 1, 0, 1)
    except ResponseError as error:
        return Keeping.NOT if "appendonly is disabled" in str(error) else Keeping.WITHIN_A_SECOND
    return Keeping.ON_REQUEST


def proven(client: redis.Redis, *, prefix: str) -> Keeping:
    """Ask a server how it keeps what it writes, and try it if WAITAOF has to tell; that takes up to three seconds.

    Raises redis's errors.
    """
    found = keeping(client)
    if found is not Keeping.ON_REQUEST:
        return found
    with client.client() as connection:
        waits_s = [_wait_s(connection, f"{prefix}rules") for _ in range(_PROBES)]
    return Keeping.TOO_EARLY if min(waits_s[1:]) < _NO_SYNC_S else found


def _wait_s(connection: redis.Redis, rules: str) -> float:
    """Return how many seconds a write takes until WAITAOF tells that it is on disk; it is that of reach_disk.lua."""
    begun = time.monotonic()
    connection.hset(rules, "disk", "0")
    connection.execute_command("WAITAOF", 1, 0, 1500)
    return time.monotonic() - begun


def _configured(client: redis.Redis) -> dict[str, str]:
    try:
        return {str(name): str(value) for name, value in client.config_get("appendonly", "appendfsync").items()}
    except _ERRORS:
        raise
    except RedisError:
        return {}
