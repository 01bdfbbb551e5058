"""Schedules: when they fire, and what is made up for after an outage."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from tests.documents import codes, table
from workplatform.schedules import (
    MADE_UP_AT_MOST,
    PATIENCE,
    CatchUp,
    Overlap,
    Schedule,
    first_to_fire,
    next_fire,
    next_fires,
)

MADE = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_schedule(**fields: Any) -> Schedule:
    when = {} if "cron" in fields else {"every": "10s"}
    return Schedule.model_validate({"name": "s", "job": {}, **when, **fields})


def wanted(schedule: Schedule, due: datetime, now: datetime) -> datetime | None:
    return first_to_fire(schedule, due, now, created=MADE)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.mark.parametrize(("after", "first"), [(-5, 10), (0, 10), (9.999, 10), (10, 20), (10.001, 20), (86_400, 86_410)])
def test_a_span_is_counted_from_the_making(after: float, first: float) -> None:
    fires = next_fires(a_schedule(), MADE + seconds(after), created=MADE)
    assert list(islice(fires, 3)) == [MADE + seconds(first + more) for more in (0, 10, 20)]


def test_cron_goes_by_the_zones_clock_and_a_span_by_none() -> None:
    before = datetime(2026, 3, 28, 12, tzinfo=UTC)
    nightly = a_schedule(cron="0 4 * * *", timezone="Europe/Berlin")
    assert [f"{fire:%H}" for fire in islice(next_fires(nightly, before, created=MADE), 2)] == ["02", "02"]
    assert next_fire(nightly, before - timedelta(days=1), created=MADE) == before.replace(hour=3)
    daily = list(islice(next_fires(a_schedule(every="1d", timezone="Europe/Berlin"), before, created=MADE), 2))
    assert daily[1] - daily[0] == timedelta(days=1)


@pytest.mark.parametrize("policy", ["none", "latest", "all"])
@pytest.mark.parametrize("late", [0, 3, 60])
def test_what_is_only_late_fires(policy: str, late: int) -> None:
    due = MADE + seconds(10)
    assert wanted(a_schedule(catchUp=policy), due, due + seconds(late)) == due


def test_none_goes_on_with_what_is_only_late_or_yet_to_come() -> None:
    due, now = MADE + seconds(10), MADE + seconds(3601)
    assert wanted(a_schedule(catchUp="none"), due, now) == MADE + seconds(3550)
    hourly = a_schedule(cron="@hourly", catchUp="none")
    assert wanted(hourly, NOON, NOON + timedelta(hours=5, minutes=30)) == NOON + timedelta(hours=6)


def test_latest_makes_up_for_one_unless_a_late_one_stands_for_all() -> None:
    hourly = a_schedule(cron="@hourly", catchUp="latest")
    assert wanted(hourly, NOON, NOON + timedelta(hours=5, minutes=30)) == NOON + timedelta(hours=5)
    assert wanted(hourly, NOON, NOON + timedelta(hours=5, seconds=30)) == NOON + timedelta(hours=5)
    assert wanted(hourly, NOON, NOON + timedelta(minutes=30)) == NOON
    assert wanted(a_schedule(catchUp="latest"), MADE + seconds(10), MADE + seconds(3601)) == MADE + seconds(3550)


def test_all_makes_up_for_each_up_to_a_bound() -> None:
    every = a_schedule(catchUp="all")
    due = MADE + seconds(10)
    assert wanted(every, due, MADE + seconds(10 * MADE_UP_AT_MOST)) == due
    assert wanted(every, due, MADE + seconds(10 * MADE_UP_AT_MOST + 10)) == due + seconds(10)
    assert wanted(every, due, MADE + seconds(10 * 2000)) == MADE + seconds(10 * 1901)
    yearly = a_schedule(cron="@yearly", catchUp="all")
    assert wanted(yearly, MADE.replace(year=2000), NOON) == MADE.replace(year=2000)


@pytest.mark.parametrize("policy", ["none", "latest", "all"])
def test_an_outage_of_years_is_reckoned_at_once(policy: str) -> None:
    secondly = a_schedule(cron="* * * * * *", timezone="Europe/Berlin", catchUp=policy)
    begin = wanted(secondly, NOON - timedelta(days=3000), NOON)
    assert begin is not None
    assert NOON - begin < PATIENCE if policy != "all" else NOON - begin == seconds(MADE_UP_AT_MOST - 1)


@pytest.mark.parametrize("policy", ["none", "latest", "all"])
@pytest.mark.parametrize("late", [61, 119, 500, 3600, 100_000])
def test_looking_again_finds_the_same_begin(policy: str, late: int) -> None:
    schedule = a_schedule(catchUp=policy)
    now = MADE + seconds(late + 10)
    begin = wanted(schedule, MADE + seconds(10), now)
    assert begin is not None
    assert begin > now or wanted(schedule, begin, now) == begin


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "."},
        {"name": "a/b"},
        {"name": "line\n"},
        {"cron": "@daily", "every": "1h"},
        {"every": "10"},
        {"every": 999},
        {"timezone": "Europe"},
        {"timezone": "../zone"},
        {"timezone": ""},
        {"timezone": "localtime"},
        {"timezone": "Mars/Olympus"},
        {"jitter": "2d"},
        {"overlap": "queue"},
        {"catchUp": "some"},
    ],
)
def test_what_makes_no_schedule_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Schedule.model_validate({"name": "s", "job": {}, "every": "10s", **fields})


def test_the_document_tells_of_every_field_and_policy() -> None:
    rows = table("docs/schedules.md", "field", "meaning")
    overlap = "if the last job of the schedule has not ended when the next moment comes"
    for field, head, values in (("overlap", overlap, get_args(Overlap)), ("catchUp", "makes", get_args(CatchUp))):
        assert {codes(row[0])[0] for row in table("docs/schedules.md", f"`{field}`", head)} == set(values)
        [meaning] = [row[1] for row in rows if row[0] == f"`{field}`"]
        assert set(codes(meaning)) == set(values)
    assert [codes(row[0])[0] for row in table("docs/schedules.md", "field", "meaning")] == [
        str(info.alias) for info in Schedule.model_fields.values()
    ]
