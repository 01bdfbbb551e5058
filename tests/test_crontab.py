"""Cron expressions: their moments, above all in the nights on which a clock changes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest

from workplatform.crontab import ALIASES, checked, moments

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
# The moments at which the clocks of these zones change in 2026; Lord Howe's by half an hour, Kolkata's never.
CHANGES = {
    "Europe/Berlin": ("2026-03-29T01:00Z", "2026-10-25T01:00Z"),
    "America/New_York": ("2026-03-08T07:00Z", "2026-11-01T06:00Z"),
    "Australia/Lord_Howe": ("2026-04-04T15:00Z", "2026-10-03T15:30Z"),
    "Asia/Kolkata": ("2026-03-29T01:00Z", "2026-10-25T01:00Z"),
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def until(end: datetime, found: Iterator[datetime]) -> list[datetime]:
    return list(takewhile(lambda moment: moment < end, found))


def shown(expression: str, zone: str, after: str, most: int) -> list[str]:
    """The next moments as the zone's clock shows them, with its offset."""
    found = islice(moments(expression, ZoneInfo(zone), at(after)), most)
    return [moment.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes") for moment in found]


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        # forward: 02:30 is left out
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        ("30 2 * * *", "America/New_York", "2026-03-07T12:00Z", ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"]),
        (
            "10 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00Z",
            ["2026-10-04T02:30+11:00", "2026-10-05T02:10+11:00"],
        ),
        ("30 2 * * *", "Asia/Kolkata", "2026-03-28T12:00Z", ["2026-03-29T02:30+05:30", "2026-03-30T02:30+05:30"]),
        # several times that are left out are one
        ("0,30 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"]),
        # back: 02:30 (01:30 in New York, 01:45 on Lord Howe) comes twice
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00Z", ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"]),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T00:00Z",
            ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"],
        ),
        ("30 2 * * *", "Asia/Kolkata", "2026-10-24T12:00Z", ["2026-10-25T02:30+05:30", "2026-10-26T02:30+05:30"]),
        # begun between the first 02:30 and the second
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T01:15Z", ["2026-10-26T02:30+01:00"]),
        # a field for seconds changes nothing of this
        ("0 30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        ("0 30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        # midnight itself is left out
        ("@daily", "Asia/Beirut", "2026-03-28T12:00Z", ["2026-03-29T01:00+03:00", "2026-03-30T00:00+03:00"]),
        # as time passes
        ("30 * * * *", "Europe/Berlin", "2026-10-24T23:45Z", ["2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"]),
        ("30 * * * *", "Europe/Berlin", "2026-03-29T00:00Z", ["2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00"]),
        (
            "*/15 2 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T00:00Z",
            ["2026-04-05T02:00+10:30", "2026-04-05T02:15+10:30"],
        ),
    ],
)
def test_a_night_on_which_the_clock_changes(expression: str, zone: str, after: str, expected: list[str]) -> None:
    assert shown(expression, zone, after, len(expected)) == expected


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", ["30 2 * * *", "0 30 1 * * *", "45 1 * * *", "@daily"])
def test_a_time_of_the_day_comes_once_on_every_day_of_the_year(expression: str, zone: str) -> None:
    end = at("2027-01-01T12:00Z")
    found = until(end, moments(expression, ZoneInfo(zone), at("2025-12-31T12:00Z")))
    days = [moment.astimezone(ZoneInfo(zone)).date() for moment in found]
    assert len(days) == len(set(days)) == 366


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", ["* 1-2 * * *", "*/7 * * * *", "*/20 */2 * * *", "15,45 * * * *"])
def test_what_goes_by_passing_time_comes_whenever_the_clock_shows_it(expression: str, zone: str) -> None:
    for change in CHANGES[zone]:
        begin, end = at(change) - timedelta(days=1, minutes=7), at(change) + timedelta(days=1)
        found = until(end, moments(expression, ZoneInfo(zone), begin))
        assert found == list(read_minute_by_minute(expression, zone, begin, end))


def read_minute_by_minute(expression: str, zone: str, after: datetime, end: datetime) -> Iterator[datetime]:
    """What an expression of minutes and hours means, read by looking at the clock once a minute."""
    minutes, hours = expression.split()[:2]
    moment = after + timedelta(minutes=1)
    while moment < end:
        local = moment.astimezone(ZoneInfo(zone))
        if stands_in(local.minute, minutes) and stands_in(local.hour, hours):
            yield moment
        moment += timedelta(minutes=1)


def stands_in(number: int, field: str) -> bool:
    if field.startswith("*/"):
        return number % int(field[2:]) == 0
    if "-" in field:
        low, high = field.split("-")
        return int(low) <= number <= int(high)
    return field == "*" or str(number) in field.split(",")


@pytest.mark.parametrize("expression", ["30 2 * * *", "*/20 * * * *", "10 1-3 * * *", "*/30 0 1,2 * * *"])
@pytest.mark.parametrize("zone", ZONES)
def test_it_does_not_matter_from_where_one_asks(expression: str, zone: str) -> None:
    for change in CHANGES[zone]:
        begin, end = at(change) - timedelta(hours=5), at(change) + timedelta(days=2)
        found = until(end, moments(expression, ZoneInfo(zone), begin))
        for minutes in range(0, 10 * 60, 3):
            after = begin + timedelta(minutes=minutes, milliseconds=minutes)
            assert next(moments(expression, ZoneInfo(zone), after)) == next(
                moment for moment in found if moment > after
            )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/20 * * * * *", ["2026-01-01T00:00:20", "2026-01-01T00:00:40", "2026-01-01T00:01:00"]),
        ("0 9 * JAN mon", ["2026-01-05T09:00:00", "2026-01-12T09:00:00", "2026-01-19T09:00:00"]),
        ("0 0 L * *", ["2026-01-31T00:00:00", "2026-02-28T00:00:00", "2026-03-31T00:00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00:00", "2032-02-29T00:00:00", "2036-02-29T00:00:00"]),
        ("0 0 13 * FRI", ["2026-01-02T00:00:00", "2026-01-09T00:00:00", "2026-01-13T00:00:00"]),
        ("@hourly", ["2026-01-01T01:00:00", "2026-01-01T02:00:00", "2026-01-01T03:00:00"]),
        ("@Weekly", ["2026-01-04T00:00:00", "2026-01-11T00:00:00", "2026-01-18T00:00:00"]),
        ("@monthly", ["2026-02-01T00:00:00", "2026-03-01T00:00:00", "2026-04-01T00:00:00"]),
        ("@yearly", ["2027-01-01T00:00:00", "2028-01-01T00:00:00", "2029-01-01T00:00:00"]),
    ],
)
def test_fields_names_and_words(expression: str, expected: list[str]) -> None:
    found = islice(moments(checked(expression), ZoneInfo("UTC"), at("2026-01-01T00:00:00.5Z")), 3)
    assert [moment.isoformat()[:19] for moment in found] == expected


@pytest.mark.parametrize("word", ALIASES)
def test_every_word_is_taken(word: str) -> None:
    assert checked(word) == word


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "5 fields"),
        ("* * * *", "5 fields"),
        ("* * * * * * *", "5 fields"),
        ("60 * * * *", "Bad minute"),
        ("* 24 * * *", "Bad hour"),
        ("* * 0 * *", "Bad day-of-month"),
        ("* * * 13 *", "Bad month"),
        ("* * * * 8", "Bad day-of-week"),
        ("* * * * MON#6", "Bad day-of-week"),
        ("*/0 * * * *", "Bad minute"),
        ("5-1 * * * *", "Bad minute"),
        ("0 0 31 2 *", "Bad day-of-month"),
        ("0 0 */31 FEB,APR MON#5", "no day is like that"),
        ("@never", "@hourly"),
        ("@", "@hourly"),
        ("٣ * * * *", "Bad minute"),
    ],
)
def test_what_is_no_expression_is_refused_with_a_reason(expression: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        checked(expression)
