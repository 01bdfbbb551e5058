"""When a receiver is left alone, and when it is tried again."""

from contextlib import ExitStack

import pytest

from workers._receivers import Receivers
from workplatform.errors import Cancelled, DeliveryError, RetryLater

DEAD, GOOD = "https://dead.example", "https://good.example"


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(receivers: Receivers, clock: Clock, origin: str = DEAD, *, after_s: float = 15.0) -> str:
    """Fail a delivery after a wait; returns what it failed with."""
    with pytest.raises(DeliveryError) as failure, receivers.delivery(origin):
        clock.now += after_s
        raise DeliveryError("no answer in time")
    return failure.value.message


def succeed(receivers: Receivers, origin: str = DEAD) -> None:
    with receivers.delivery(origin):
        pass


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def receivers(clock: Clock) -> Receivers:
    return Receivers(clock=clock)


def test_after_three_waits_in_vain_deliveries_fail_without_waiting(receivers: Receivers, clock: Clock) -> None:
    for _ in range(3):
        assert fail(receivers, clock) == "no answer in time"
    before = clock.now
    assert "was not tried" in fail(receivers, clock)
    assert clock.now == before


def test_other_receivers_are_not_concerned(receivers: Receivers, clock: Clock) -> None:
    for _ in range(3):
        fail(receivers, clock)
    succeed(receivers, GOOD)


def test_one_delivery_per_half_minute_tries_again(receivers: Receivers, clock: Clock) -> None:
    for _ in range(3):
        fail(receivers, clock)
    clock.now += 30
    with pytest.raises(DeliveryError, match="no answer"), receivers.delivery(DEAD):
        assert "was not tried" in fail(receivers, clock)
        clock.now += 15
        raise DeliveryError("no answer in time")
    clock.now += 29
    assert "was not tried" in fail(receivers, clock)


def test_a_success_ends_the_rest(receivers: Receivers, clock: Clock) -> None:
    for _ in range(3):
        fail(receivers, clock)
    clock.now += 30
    succeed(receivers)
    assert fail(receivers, clock) == "no answer in time"


def test_a_probe_that_was_cancelled_leaves_the_next_one_to_a_later_delivery(receivers: Receivers, clock: Clock) -> None:
    for _ in range(3):
        fail(receivers, clock)
    clock.now += 30
    with pytest.raises(Cancelled), receivers.delivery(DEAD):
        raise Cancelled
    assert "was not tried" in fail(receivers, clock)
    clock.now += 30
    succeed(receivers)


def test_quick_failures_never_rest_a_receiver(receivers: Receivers, clock: Clock) -> None:
    for _ in range(20):
        assert fail(receivers, clock, after_s=0.1) == "no answer in time"


def test_a_slow_answer_that_asks_to_come_back_counts_as_a_wait_in_vain(receivers: Receivers, clock: Clock) -> None:
    for _ in range(3):
        with pytest.raises(RetryLater), receivers.delivery(DEAD):
            clock.now += 10
            raise RetryLater(delay_s=5)
    assert "was not tried" in fail(receivers, clock)


def test_a_ninth_delivery_side_by_side_fails_at_once_and_the_reason_is_named(
    receivers: Receivers, clock: Clock
) -> None:
    with ExitStack() as under_way:
        for _ in range(8):
            under_way.enter_context(receivers.delivery(DEAD))
        before = clock.now
        assert fail(receivers, clock) == f"{DEAD} was not tried: 8 deliveries to it are under way already"
        assert clock.now == before
        succeed(receivers, GOOD)
    succeed(receivers)


def test_a_delivery_gives_its_place_back_however_it_ends(receivers: Receivers, clock: Clock) -> None:
    for _ in range(20):
        assert fail(receivers, clock, after_s=0.1) == "no answer in time"
        with pytest.raises(Cancelled), receivers.delivery(DEAD):
            raise Cancelled
        succeed(receivers)


def test_a_refused_delivery_neither_counts_as_a_wait_nor_spends_the_probe(receivers: Receivers, clock: Clock) -> None:
    with ExitStack() as under_way:
        for _ in range(8):
            under_way.enter_context(receivers.delivery(DEAD))
        for _ in range(3):
            fail(receivers, clock)
    succeed(receivers)


def test_memory_is_bounded_and_the_oldest_trouble_is_forgotten(receivers: Receivers, clock: Clock) -> None:
    for _ in range(3):
        fail(receivers, clock)
    for number in range(1000):
        fail(receivers, clock, f"https://{number}.example")
    assert fail(receivers, clock) == "no answer in time"
