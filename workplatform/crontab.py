"""Cron expressions: which moments they mean, by the clock of a time zone and through its changes.

As Debian's cron does it: an expression whose minutes or hours begin with `*` goes by the time that passes, so it comes
twice in an hour that the clock shows twice. Any other one means times of the day: one that the clock shows twice comes
the first time only, and one that it leaves out comes when the clock has been put forward. cronsim reads the fields and
finds local times; it knows no zone here, because its own way through a change loses moments where an hour does not
begin at :00 (Lord Howe), and comes twice or never where there is a field for seconds.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_SECOND: Final = timedelta(seconds=1)
_DAY: Final = timedelta(days=1)
_ANY_DAY: Final = datetime(2000, 1, 1)


def checked(expression: str) -> str:
    """Return an expression that can be used; raises ValueError saying what is wrong with it."""
    if expression.startswith("@") and expression.lower() not in ALIASES:
        raise ValueError(f"must be one of {', '.join(ALIASES)}, or 5 or 6 fields")
    try:
        next(_local_times(expression, _ANY_DAY))
    except CronSimError as error:
        raise ValueError(f"{error}; an expression has 5 fields, or 6 with seconds first") from error
    except StopIteration:
        raise ValueError("no day is like that") from None
    return expression


def moments(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield the moments (UTC, whole seconds) of an expression that come after a moment, in order."""
    minutes, hours = _fields(expression).split()[-5:-3]
    if minutes.startswith("*") or hours.startswith("*"):
        return _as_time_passes(expression, zone, after)
    return _times_of_day(expression, zone, after)


def _times_of_day(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    latest = after
    for local in _local_times(expression, _local(after, _offset(zone, after))):
        moment = _shown(local, zone)
        if moment > latest:
            latest = moment
            yield moment


def _as_time_passes(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Take the local times of one offset from UTC after the other, each up to the clock's next change."""
    offset = _offset(zone, after)
    known = after  # from here to the next change the offset is this
    times = _local_times(expression, _local(after, offset))
    while (local := next(times, None)) is not None:
        moment = (local - offset).replace(tzinfo=UTC)
        change = _next_change(zone, known, moment)
        if change is None:
            known = moment
            yield moment
            continue
        known, offset = change, _offset(zone, change)
        times = _local_times(expression, _local(change - _SECOND, offset))


def _shown(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment at which the clock shows a local time or, if it leaves that out, a later one."""
    before, behind = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if before > behind and (change := _next_change(zone, behind, before)) is not None:
        return change
    return before


def _next_change(zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """Return the first moment after `after`, and not after `until`, at which the offset from UTC is another one."""
    offset = _offset(zone, after)
    early = after
    while early < until:
        late = min(early + _DAY, until)
        if _offset(zone, late) != offset:
            return _first_other(zone, early, late)
        early = late
    return None


def _first_other(zone: ZoneInfo, early: datetime, late: datetime) -> datetime:
    """Return the second in (early, late] from which the offset is not that of `early`."""
    offset, begin = _offset(zone, early), early.replace(microsecond=0)
    same, other = 0, -(-(late - begin) // _SECOND)
    while other - same > 1:
        middle = (same + other) // 2
        if _offset(zone, begin + middle * _SECOND) == offset:
            same = middle
        else:
            other = middle
    return begin + other * _SECOND


def _local_times(expression: str, after: datetime) -> Iterator[datetime]:
    return iter(CronSim(_fields(expression), after))


def _fields(expression: str) -> str:
    return ALIASES.get(expression.lower(), expression)


def _local(moment: datetime, offset: timedelta) -> datetime:
    return (moment + offset).replace(tzinfo=None)


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
