"""Names of settings: the families of which there may be several, and how the environment spells what they are for."""

from typing import Final

from workplatform.limits import PREFIX as LIMIT_PREFIX

CONCURRENCY_PREFIX: Final = "CONCURRENCY_"
# What the names of a family begin with, and the field that holds them all.
FAMILIES: Final = {CONCURRENCY_PREFIX: "concurrency", "RETENTION_": "retentions", LIMIT_PREFIX: "limits"}


def dashed(name: str) -> str:
    """Return the name of a queue, or of another such thing, as the environment can spell it: it has no `-` in names."""
    return name.replace("_", "-")


def concurrency_name(queue: str) -> str:
    """Return the setting of a queue's concurrency."""
    return _member(CONCURRENCY_PREFIX, queue)


def problem(location: tuple[int | str, ...], message: str) -> str:
    """Tell what is wrong with the setting at pydantic's location."""
    field, *within = map(str, location)
    prefix = next((prefix for prefix, family in FAMILIES.items() if family == field and within), None)
    name = _member(prefix, within[0]) if prefix else "_".join((field, *within)).upper()
    return f"{name}: {message.removeprefix('Value error, ')}"


def _member(prefix: str, name: str) -> str:
    return prefix + name.replace("-", "_").upper()
