"""Retention: which rule counts for which job, and which setting means nothing."""

import json
from datetime import timedelta
from typing import Any

import pytest

from workplatform.errors import SettingsError
from workplatform.retention import sweeping_rules

WEEK = timedelta(days=7)


def rules(**settings: float) -> dict[str, Any]:
    """The rules that settings make; names as load() gives them."""
    named = {name.replace("_", "-"): value for name, value in settings.items()}
    parsed: dict[str, Any] = json.loads(sweeping_rules(WEEK, named, ["hls", "two-words", "hls-failed"]))
    return parsed


def ages(**settings: float) -> dict[str, float]:
    """The ages in seconds."""
    return {name: age / 1000 for name, age in rules(**settings)["ages"].items()}


def test_one_age_is_for_every_job() -> None:
    assert set(ages().values()) == {WEEK.total_seconds()}
    assert {":completed", ":failed", ":cancelled", "hls:failed", "two-words:completed"} <= ages().keys()


def test_the_age_that_says_most_about_a_job_counts() -> None:
    found = ages(failed=30, type_hls=20, type_hls_completed=10, type_two_words_failed=5)
    assert (found[":failed"], found[":completed"]) == (30, WEEK.total_seconds())
    assert (found["hls:completed"], found["hls:failed"], found["hls:cancelled"]) == (10, 20, 20)
    assert (found["two-words:failed"], found["two-words:completed"]) == (5, WEEK.total_seconds())


def test_bounds_say_whose_jobs_they_count() -> None:
    found = rules(max=9, completed_max=8, type_hls_max=7, type_hls_cancelled_max=6)["bounds"]
    every = ["cancelled", "completed", "failed"]
    assert found == [
        {"statuses": every, "most": 9},
        {"statuses": ["completed"], "most": 8},
        {"statuses": every, "most": 7, "types": ["hls"]},
        {"statuses": ["cancelled"], "most": 6, "types": ["hls"]},
    ]


def test_a_type_that_is_named_like_a_status_is_a_type() -> None:
    found = ages(type_hls_failed=10)
    assert (found["hls-failed:completed"], found["hls:failed"]) == (10, WEEK.total_seconds())


@pytest.mark.parametrize(
    "name", ["running", "type_webm", "type_hls_queued", "completed_most", "type_", "failed_type_hls"]
)
def test_a_name_that_means_nothing_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^RETENTION_{name.upper()}: .*RETENTION_FAILED.* TWO_WORDS"):
        rules(**{name: 1})


def test_half_a_job_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^RETENTION_FAILED_MAX: must be a whole number"):
        rules(failed_max=1.5)
