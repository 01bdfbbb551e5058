"""Schedules: what one says, when it fires, and what is made up for after an outage."""

import re
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from workplatform import crontab
from workplatform.models import WireModel
from workplatform.terms import Delay, Span

PATIENCE: Final = timedelta(minutes=1)  # a moment that is later than this was missed
MADE_UP_AT_MOST: Final = 100
_SHORTEST_MS: Final = 1000
_LONGEST_JITTER_MS: Final = 86_400_000
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")

Overlap = Literal["allow", "skip", "replace"]
CatchUp = Literal["none", "latest", "all"]


def _name(name: str) -> str:
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise ValueError("a name has 1 to 100 letters, digits, dots, hyphens and underscores")
    return name


def _zone(name: str) -> str:
    if name == "localtime":
        raise ValueError("localtime is another zone on every machine: name it, like Europe/Berlin")
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}; a zone is named like Europe/Berlin") from None
    return name


class Schedule(WireModel):
    """The body of POST /api/schedules: a job, and the moments at which it is submitted."""

    name: Annotated[str, AfterValidator(_name)] = Field(
        description="The schedule's id: letters, digits, dots, hyphens, underscores", examples=["nightly-backup"]
    )
    cron: Annotated[str, Field(max_length=200), AfterValidator(crontab.checked)] | None = Field(
        None, description="5 fields, 6 with seconds first, or @daily and the like", examples=["30 2 * * MON-FRI"]
    )
    every: Annotated[Span, Field(ge=_SHORTEST_MS)] | None = Field(
        None, description="In place of cron: a span of at least 1s, counted from the making", examples=["15m"]
    )
    timezone: Annotated[str, Field(max_length=100), AfterValidator(_zone)] = Field(
        "UTC", description="Whose clock cron means, as the IANA names it", examples=["Europe/Berlin"]
    )
    job: dict[str, Any] = Field(description="What is submitted, as by POST /api/jobs")
    overlap: Overlap = Field("allow", description="What happens when the job before has not ended yet")
    catch_up: CatchUp = Field("latest", description="Which of the fires missed in an outage are made up for")
    jitter: Annotated[Delay, Field(le=_LONGEST_JITTER_MS)] | None = Field(
        None, description="The job begins up to this much later, at random; at most 1d", examples=["5m"]
    )
    paused: bool = Field(False, description="Whether it does not fire")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.cron is None) == (self.every is None):
            raise ValueError("say either cron or every, to tell when it fires")
        return self


def next_fires(schedule: Schedule, after: datetime, *, created: datetime) -> Iterator[datetime]:
    """Yield the moments at which a schedule fires after a moment, in order; `created` is where `every` counts from."""
    if schedule.cron is not None:
        return crontab.moments(schedule.cron, ZoneInfo(schedule.timezone), after)
    return _multiples(timedelta(milliseconds=schedule.every or _SHORTEST_MS), after, created)


def next_fire(schedule: Schedule, after: datetime, *, created: datetime) -> datetime | None:
    """Return the first moment at which a schedule fires after a moment, if it ever does."""
    return next(next_fires(schedule, after, created=created), None)


def first_to_fire(schedule: Schedule, due: datetime, now: datetime, *, created: datetime) -> datetime | None:
    """Return the first moment from `due` on (<= `now`) that is to fire, now or later; those before it are missed.

    A moment that passed no more than PATIENCE ago is only late. Of those before, `all` makes up for the last
    MADE_UP_AT_MOST, `latest` for one, unless a late one stands for them, and `none` for none.
    """
    if due >= now - PATIENCE:
        return due
    if schedule.catch_up == "all":
        return _last_fires(schedule, due, now, created=created)[0]
    late = next_fire(schedule, now - PATIENCE, created=created)
    if schedule.catch_up == "none" or (late is not None and late <= now):
        return late
    return _last_fires(schedule, due, now, created=created)[-1]


def _last_fires(schedule: Schedule, due: datetime, now: datetime, *, created: datetime) -> list[datetime]:
    """Return the last MADE_UP_AT_MOST fires from `due` to `now`, looking back further only if they are too few."""
    back = PATIENCE
    while True:
        begin = max(due, now - back)
        fires = takewhile(lambda fire: fire <= now, next_fires(schedule, begin, created=created))
        found = deque([due] if begin == due else [], maxlen=MADE_UP_AT_MOST)
        found.extend(fires)
        if begin == due or len(found) == MADE_UP_AT_MOST:
            return list(found)
        back *= 2


def _multiples(span: timedelta, after: datetime, created: datetime) -> Iterator[datetime]:
    moment = created + max((after - created) // span + 1, 1) * span
    while True:
        yield moment
        moment += span
