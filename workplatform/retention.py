"""Retention: how long jobs that have ended are kept, and how many, by status and by type."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import orjson

from workplatform.errors import SettingsError
from workplatform.states import FINAL

PREFIX: Final = "RETENTION_"
_STATUSES: Final = tuple(sorted(status.value for status in FINAL))
_OF_TYPE: Final = "type_"
_MOST: Final = "max"


@dataclass(frozen=True, slots=True)
class _Rule:
    """What one setting is about: a type ("": all), a status ("": every one), and whether it is a number of jobs."""

    job_type: str
    status: str
    is_bound: bool


def sweeping_rules(age: timedelta, settings: Mapping[str, float], types: Iterable[str]) -> bytes:
    """Return the rules of sweep.lua that RETENTION and the other `RETENTION_...` settings make.

    These are named as in the environment, without the prefix, in lower case. Of the ages that are said for a job, that
    for its type and status counts, else that for its type, else that for its status. Raises SettingsError naming what
    is wrong.
    """
    known = {job_type.replace("-", "_"): job_type for job_type in types}
    rules = {_read(name, known): (name, value) for name, value in settings.items()}
    ages = {rule: value for rule, (_, value) in rules.items() if not rule.is_bound}
    found: dict[str, int] = {}
    for job_type in ("", *known.values()):
        for status in _STATUSES:
            said = [
                ages[rule]
                for rule in (_Rule(job_type, status, False), _Rule(job_type, "", False), _Rule("", status, False))
                if rule in ages
            ]
            found[f"{job_type}:{status}"] = round(1000 * (said[0] if said else age.total_seconds()))
    bounds = [_bound(rule, name, value) for rule, (name, value) in rules.items() if rule.is_bound]
    return orjson.dumps({"ages": found, "bounds": bounds})


def _read(name: str, known: Mapping[str, str]) -> _Rule:
    """Tell what a setting is about; a type's name goes before what its end could mean otherwise."""
    words = name.replace("-", "_")
    is_of_type = words.startswith(_OF_TYPE)
    rest = words.removeprefix(_OF_TYPE) if is_of_type else f"_{words}"
    for job_type, status, is_bound in _readings(rest):
        if job_type in known if is_of_type else not job_type:
            return _Rule(known.get(job_type, ""), status, is_bound)
    raise SettingsError(
        f"{PREFIX}{words.upper()}: means nothing here; there are {', '.join(_names())}, "
        f"where TYPE is one of {', '.join(name.upper() for name in sorted(known))}"
    )


def _readings(words: str) -> Sequence[tuple[str, str, bool]]:
    """Return all that a name may mean: type, status, and whether it is a bound."""
    found = [(words, "", False)]
    if words.endswith(f"_{_MOST}"):
        found.append((words.removesuffix(f"_{_MOST}"), "", True))
    for so_far, _, is_bound in tuple(found):
        found += [
            (so_far.removesuffix(f"_{status}"), status, is_bound)
            for status in _STATUSES
            if so_far.endswith(f"_{status}")
        ]
    return found


def _names() -> list[str]:
    statuses = [status.upper() for status in _STATUSES]
    forms = [*(f"{PREFIX}{status}" for status in statuses), f"{PREFIX}TYPE_TYPE", f"{PREFIX}TYPE_TYPE_FAILED"]
    return [*forms, f"{PREFIX}MAX and the same names with _MAX at their end"]


def _bound(rule: _Rule, name: str, value: float) -> dict[str, object]:
    if value != int(value):
        raise SettingsError(f"{PREFIX}{name.replace('-', '_').upper()}: must be a whole number of jobs")
    bound: dict[str, object] = {"statuses": [rule.status] if rule.status else list(_STATUSES), "most": int(value)}
    return bound | ({"types": [rule.job_type]} if rule.job_type else {})
