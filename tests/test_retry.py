"""Retry delays."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workplatform.retry import Backoff, RetryPolicy


@pytest.mark.parametrize(
    ("backoff", "seconds"), [("exponential", [1, 2, 4, 8]), ("linear", [1, 2, 3, 4]), ("fixed", [1, 1, 1, 1])]
)
def test_waits_grow_as_named(backoff: Backoff, seconds: list[int]) -> None:
    policy = RetryPolicy(backoff=backoff, initial_delay=1000)
    assert [policy.delay(retry).total_seconds() for retry in (1, 2, 3, 4)] == seconds


def test_the_default_is_three_retries_after_one_two_and_four_seconds() -> None:
    policy = RetryPolicy()
    assert policy.max_retries == 3
    assert [policy.delay(retry).total_seconds() for retry in (1, 2, 3)] == [1, 2, 4]


@given(
    backoff=st.sampled_from(["exponential", "linear", "fixed"]),
    initial=st.integers(0, 86_400_000),
    most=st.integers(0, 604_800_000),
    jitter=st.floats(0, 1),
    retry=st.integers(1, 100),
    draw=st.floats(0, 0.999),
)
def test_no_wait_is_negative_or_above_the_maximum(
    backoff: Backoff, initial: int, most: int, jitter: float, retry: int, draw: float
) -> None:
    policy = RetryPolicy(backoff=backoff, initial_delay=initial, max_delay=most, jitter=jitter)
    assert timedelta(0) <= policy.delay(retry, draw=draw) <= timedelta(milliseconds=most)


def test_jitter_takes_away_its_share_at_most() -> None:
    policy = RetryPolicy(initial_delay=1000, jitter=0.5)
    assert policy.delay(1, draw=0.0) == timedelta(seconds=1)
    assert policy.delay(1, draw=0.999).total_seconds() == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("wrong", [{"maxRetries": -1}, {"backoff": "random"}, {"initialDelay": "soon"}, {"retries": 1}])
def test_a_wrong_policy_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RetryPolicy.model_validate(wrong)
