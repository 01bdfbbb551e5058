"""The library: the scripts of `lua/` as functions of Redis (7 and newer), behind the parts that they share.

Redis runs a plain script from its first line at every call, and making the shared functions anew costs more than most
transitions do. Of a library it runs them once, when it is loaded. Each release and key prefix has a library of its own.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import redis

from workplatform.store.keys import EVENTS_KEPT, JOB_MARK, LOG_LINES, SCHEMA_VERSION, WINDOW

# Read with this module, so that a process forked after an upgrade on disk does not mix old Python with new Lua.
_SOURCES: Final = {
    entry.name.removesuffix(".lua"): entry.read_text("utf-8")
    for entry in (files("workplatform.store") / "lua").iterdir()
    if entry.name.endswith(".lua")
}
_PARTS: Final = (
    "_base",
    "_failures",
    "_deliveries",
    "_groups",
    "_finished",
    "_rules",
    "_turns",
    "_queue",
    "_limits",
    "_series",
    "_schedule",
    "_dependencies",
    "_create",
    "_admission",
    "_slots",
    "_ending",
    "_again",
    "_retries",
    "_claim",
)
# What adds work is refused while Redis is out of memory. What carries work on or ends it goes on: it frees some.
_ADDING: Final = frozenset({"submit", "submit_once", "create_flow", "fire", "put_schedule"})
# What reads alone goes on while Redis takes no writes at all.
_READING: Final = frozenset(
    {
        "deliveries",
        "due",
        "due_schedules",
        "errors",
        "failures",
        "groups",
        "list",
        "list_batches",
        "list_flows",
        "queues",
        "workers",
    }
)


@dataclass(frozen=True, slots=True)
class Library:
    """A library by its name, and the code that FUNCTION LOAD takes."""

    name: str
    code: bytes

    def function(self, script: str) -> str:
        """Return the name by which FCALL runs a script."""
        return f"{self.name}_{script}"


@lru_cache(maxsize=8)
def library(prefix: str) -> Library:
    """Return the library for keys with the prefix."""
    shared = "".join(_SOURCES[part] for part in _PARTS)
    for mark, value in (
        ("@PREFIX@", prefix),
        ("@EVENTS_KEPT@", EVENTS_KEPT),
        ("@JOB_MARK@", JOB_MARK),
        ("@LOG_LINES@", LOG_LINES),
        ("@SCHEMA_VERSION@", SCHEMA_VERSION),
        ("@WINDOW@", WINDOW),
    ):
        shared = shared.replace(mark, str(value))
    scripts = {name: source for name, source in sorted(_SOURCES.items()) if not name.startswith("_")}
    name = f"{_family(prefix)}_{_digest(shared + str(scripts))}"
    functions = "".join(_function(f"{name}_{script}", source, _flags(script)) for script, source in scripts.items())
    return Library(name, f"#!lua name={name}\n{shared}{functions}".encode())


def is_unknown(error: redis.ResponseError) -> bool:
    """Whether Redis has not loaded the library of the function that was called."""
    return "Function not found" in str(error)


def remove_others(client: redis.Redis, prefix: str) -> None:
    """Remove the libraries of other releases for keys with the prefix, as far as Redis lets us.

    A release that still runs loads its own again.
    """
    own = library(prefix).name
    with suppress(redis.RedisError):
        listed: Any = client.function_list(f"{_family(prefix)}_*")
        for facts in listed:
            name = dict(zip(facts[::2], facts[1::2], strict=True))[b"library_name"].decode()
            if name != own:
                client.function_delete(name)


def _family(prefix: str) -> str:
    return f"workplatform_{_digest(prefix)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _flags(script: str) -> str:
    """Have Redis refuse a script before it begins, never in the middle (Redis 7, "Script flags")."""
    if script in _ADDING:
        return ""
    return "'no-writes'" if script in _READING else "'allow-oom'"


def _function(name: str, source: str, flags: str) -> str:
    what = f"function_name = '{name}', flags = {{{flags}}}"
    return f"redis.register_function{{{what}, callback = function(_, ARGV)\n{source}end}}\n"
