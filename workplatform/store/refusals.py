"""Refusals: what Redis says when it answers and cannot take a write now, and what that means."""

from typing import Final

from redis.exceptions import ResponseError

_MEANINGS: Final = {
    "OOM": "it is out of memory: raise its maxmemory, or let jobs end and be swept",
    "READONLY": "it is read-only: it is a replica, or has just become one",
    "NOREPLICAS": "too few of its replicas are in touch (min-replicas-to-write)",
    "MISCONF": "it cannot write to its disk; its own log tells why",
    "MASTERDOWN": "it is a replica that has lost its primary",
    "LOADING": "it is loading its data",
    "BUSY": "it is busy with a script",
}


def why_not_now(error: ResponseError) -> str | None:
    """Tell why Redis refuses writes, if it is for a reason that passes."""
    said = str(error)
    code = error.status_code or said.partition(" ")[0]
    # Inside a script the code of Redis before 7 is somewhere in the text.
    found = code if code in _MEANINGS else next((name for name in _MEANINGS if f"-{name} " in said), None)
    return None if found is None else f"Redis cannot take it now: {_MEANINGS[found]}"
