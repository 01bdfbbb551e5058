"""When a worker counts as deaf."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from workplatform import deafness
from workplatform.deafness import Watchdog


class _Time:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> _Time:
    time = _Time()
    monkeypatch.setattr(deafness, "time", time)
    return time


def looks(time: _Time, *, every_s: float = 3.0, could_take: bool = True, taken: int = 0) -> Iterator[bool]:
    watchdog = Watchdog(timedelta(seconds=15), every_s=3.0)
    while True:
        yield watchdog.is_deaf(could_take=could_take, taken=taken)
        time.now += every_s


def test_who_takes_nothing_of_what_is_there_for_long_enough_is_deaf(time: _Time) -> None:
    answers = looks(time)
    assert [next(answers) for _ in range(6)] == [False] * 5 + [True]


def test_who_could_take_nothing_is_not_deaf(time: _Time) -> None:
    answers = looks(time, could_take=False)
    assert not any(next(answers) for _ in range(20))


def test_taking_one_job_now_and_then_is_enough(time: _Time) -> None:
    watchdog = Watchdog(timedelta(seconds=15), every_s=3.0)
    for look in range(40):
        assert not watchdog.is_deaf(could_take=True, taken=look // 4)
        time.now += 3


def test_a_moment_in_which_nothing_could_be_taken_begins_the_count_anew(time: _Time) -> None:
    watchdog = Watchdog(timedelta(seconds=15), every_s=3.0)
    for look in range(40):
        assert not watchdog.is_deaf(could_take=look % 5 != 4, taken=0)
        time.now += 3


def test_a_process_that_was_stopped_for_an_hour_is_not_deaf_at_once(time: _Time) -> None:
    watchdog = Watchdog(timedelta(seconds=15), every_s=3.0)
    for _ in range(4):
        assert not watchdog.is_deaf(could_take=True, taken=0)
        time.now += 3
    time.now += 3600
    assert not watchdog.is_deaf(could_take=True, taken=0)
