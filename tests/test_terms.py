"""The terms of a submission: what is read, what contradicts itself, and what the store is told."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from workplatform.terms import Terms, milliseconds


def words(**fields: Any) -> dict[str, Any]:
    found = Terms.model_validate(fields).words()
    return dict(json.loads(found)) if found else {}


@pytest.mark.parametrize(
    ("text", "ms"),
    [("250ms", 250), ("90s", 90_000), ("10m", 600_000), ("1h30m", 5_400_000), (" 2 d ", 172_800_000), ("1.5s", 1500)],
)
def test_a_span_is_read_with_its_units(text: str, ms: int) -> None:
    assert milliseconds(text) == ms


@pytest.mark.parametrize("text", ["", "10", "m", "10 minutes", "1h and 5m", "-5s", "5s x", "1e9d"])
def test_anything_else_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match="a span is milliseconds"):
        milliseconds(text)


@pytest.mark.parametrize("value", [-1, 1.5, True, "400d", 10**12, []])
@pytest.mark.parametrize("field", ["delay", "ttl", "deadline", "stallTimeout"])
def test_a_span_out_of_range_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Terms.model_validate({field: value})


@pytest.mark.parametrize("field", ["ttl", "deadline", "stallTimeout"])
def test_no_span_at_all_is_a_delay_and_nothing_else(field: str) -> None:
    assert words(delay=0) == words(delay="0s") == {}
    with pytest.raises(ValidationError):
        Terms.model_validate({field: 0})


@pytest.mark.parametrize("field", ["runAt", "expiresAt", "deadline"])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("2030-01-01T00:00:00", "timezone"),
        ("2030-01-01", "timezone"),
        ("tomorrow", "such as 2030-01-31T04:00:00Z"),
        ("9999-12-31T23:59:59-12:00", "years 1970 to 9998"),
        ("0001-01-01T00:00:00+14:00", "years 1970 to 9998"),
    ],
)
def test_what_is_no_moment_is_refused_in_one_sentence(field: str, value: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says) as refused:
        Terms.model_validate({field: value})
    assert [error["loc"] for error in refused.value.errors()] == [(field,)]


@pytest.mark.parametrize("value", [1_893_456_000, "1893456000", "90"])
@pytest.mark.parametrize("field", ["runAt", "expiresAt"])
def test_a_number_is_no_moment_nor_is_a_text_of_digits(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match="a moment is a text"):
        Terms.model_validate({field: value})


def test_the_store_gets_what_was_said_and_nothing_else() -> None:
    assert Terms().words() == b""
    assert words(delay="1s", ttl=5000, uniqueKey="a") == {"delay": 1000, "ttl": 5000, "unique": "a"}
    assert words(runAt="2030-01-01T01:00:00+01:00") == {"runAt": 1_893_456_000_000}
    assert words(deadline="1h") == {"within": 3_600_000}
    assert words(deadline="2030-01-01T00:00:00Z") == {"deadline": 1_893_456_000_000}
    assert json.loads(Terms().words(series="deploy:p")) == {"series": "deploy:p"}


@pytest.mark.parametrize(
    "fields",
    [
        {"delay": 1, "runAt": "2030-01-01T00:00:00Z"},
        {"ttl": 1, "expiresAt": "2030-01-01T00:00:00Z"},
        {"delay": "1m", "ttl": "1m"},
        {"delay": "1m", "deadline": "1m"},
        {"runAt": "2030-01-01T00:00:00Z", "deadline": "2030-01-01T00:00:00Z"},
        {"runAt": "2030-01-01T00:00:00Z", "expiresAt": "2029-01-01T00:00:00Z"},
    ],
)
def test_terms_that_contradict_each_other_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Terms.model_validate(fields)
