"""Waiting for conditions, so that no test sleeps for a guessed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def pass_a_millisecond() -> None:
    """Return when Redis, which goes by this machine's clock, tells another moment than before."""
    before = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 <= before:
        continue


def eventually(condition: Callable[[], T], *, within_s: float = 60.0) -> T:
    """Return the first true value of the condition; fail if there is none in time, be the machine as busy as it may."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {within_s} s: {condition}")
        time.sleep(0.02)
    return value
