"""When a receiver is left alone, and when it is tried again."""

from contextlib import ExitStack
from itertools import pairwise

import pytest

from workers._receivers import Receivers
from workplatform.errors import Cancelled, DeliveryError, RetryLater
from workplatform.turns import NotYet

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


def test_a_receiver_that_has_accepted_something_lately_costs_no_attempt_while_it_rests(
    receivers: Receivers, clock: Clock
) -> None:
    succeed(receivers)
    for _ in range(3):
        fail(receivers, clock)
    with pytest.raises(NotYet, match="wait in vain") as refusal, receivers.delivery(DEAD):
        pass
    assert 30 <= refusal.value.data["delay_s"] < 60
    clock.now += 120
    fail(receivers, clock)
    assert "was not tried" in fail(receivers, clock), "now it counts as dead"


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
        clock.now += 5
    assert "was not tried" in fail(receivers, clock)


def test_a_ninth_delivery_side_by_side_comes_back_later_and_the_reason_is_named(receivers: Receivers) -> None:
    with ExitStack() as under_way:
        for _ in range(8):
            under_way.enter_context(receivers.delivery(DEAD))
        with pytest.raises(NotYet, match=f"{DEAD} has 8 deliveries under way already"), receivers.delivery(DEAD):
            pass
        succeed(receivers, GOOD)
    succeed(receivers)


def turns(receivers: Receivers, number: int) -> list[float]:
    """The waits of deliveries that find all places of an origin taken."""
    waits: list[float] = []
    with ExitStack() as under_way:
        for _ in range(8):
            under_way.enter_context(receivers.delivery(DEAD))
        for _ in range(number):
            with pytest.raises(NotYet) as refusal, receivers.delivery(DEAD):
                pass
            waits.append(refusal.value.data["delay_s"])
    return waits


def test_turns_are_as_far_apart_as_the_receiver_takes_for_a_delivery(receivers: Receivers, clock: Clock) -> None:
    for _ in range(50):
        with receivers.delivery(DEAD):
            clock.now += 0.8
    waits = turns(receivers, 100)
    steps = [after - before for before, after in pairwise(waits)]
    assert 0 < waits[0] < 1
    assert all(step == pytest.approx(0.06, rel=0.1) for step in steps), "eight at a time, a little hurried"


def test_no_turn_is_further_than_a_minute_away(receivers: Receivers, clock: Clock) -> None:
    with receivers.delivery(DEAD):
        clock.now += 10
    assert max(turns(receivers, 5000)) == 60


def test_a_receiver_that_takes_one_after_the_other_gets_fewer_at_once_until_it_is_quick_again(
    receivers: Receivers, clock: Clock
) -> None:
    fail(receivers, clock)
    with ExitStack() as under_way:
        for _ in range(4):
            under_way.enter_context(receivers.delivery(DEAD))
        with pytest.raises(NotYet, match="4 deliveries"), receivers.delivery(DEAD):
            pass
        clock.now += 10  # they succeed, slowly
    for _ in range(4):
        with pytest.raises(NotYet, match="4 deliveries"), ExitStack() as under_way:
            for _ in range(5):
                under_way.enter_context(receivers.delivery(DEAD))
    for _ in range(20):
        succeed(receivers)
    with pytest.raises(NotYet, match="8 deliveries"), ExitStack() as under_way:
        for _ in range(9):
            under_way.enter_context(receivers.delivery(DEAD))


def test_a_receiver_that_asks_to_be_left_alone_costs_the_others_no_attempt(receivers: Receivers, clock: Clock) -> None:
    with pytest.raises(RetryLater), receivers.delivery(DEAD):
        raise RetryLater(delay_s=7)
    with pytest.raises(NotYet, match="asked to be left alone") as refusal, receivers.delivery(DEAD):
        pass
    assert 7 <= refusal.value.data["delay_s"] < 8
    clock.now += 7
    succeed(receivers)


def test_other_deliveries_do_not_wait_a_day_because_one_was_asked_to(receivers: Receivers, clock: Clock) -> None:
    with pytest.raises(RetryLater), receivers.delivery(DEAD):
        raise RetryLater(delay_s=86_400)
    clock.now += 60
    succeed(receivers)


def test_a_delivery_gives_its_place_back_however_it_ends(receivers: Receivers, clock: Clock) -> None:
    for _ in range(20):
        assert fail(receivers, clock, after_s=0.1) == "no answer in time"
        with pytest.raises(Cancelled), receivers.delivery(DEAD):
            raise Cancelled
        succeed(receivers)


def test_a_refused_delivery_does_not_count_as_a_wait_in_vain(receivers: Receivers) -> None:
    with ExitStack() as under_way:
        for _ in range(8):
            under_way.enter_context(receivers.delivery(DEAD))
        for _ in range(3):
            with pytest.raises(NotYet), receivers.delivery(DEAD):
                pass
    succeed(receivers)


def test_memory_is_bounded_and_the_oldest_trouble_is_forgotten(receivers: Receivers, clock: Clock) -> None:
    for _ in range(3):
        fail(receivers, clock)
    for number in range(1000):
        fail(receivers, clock, f"https://{number}.example")
    assert fail(receivers, clock) == "no answer in time"
