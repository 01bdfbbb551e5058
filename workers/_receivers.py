"""How many deliveries each receiver may hold at the moment, so that none takes the slots that others need."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from workplatform.errors import DeliveryError, RetryLater
from workplatform.turns import NotYet

# A failure that took less costs nobody a slot worth mentioning: a refused connection, a quick 500.
_SLOW_S: Final = 2.0
_SLOW_FAILURES: Final = 3
_REST_S: Final = 30.0
_ALIVE_S: Final = 120.0
_REMEMBERED: Final = 1000
# Far enough below the concurrency of the job type that three dead receivers leave a quarter of the slots to the rest.
_IN_FLIGHT: Final = 8
_SOONEST_S: Final = 0.2
_LATEST_S: Final = 60.0
# Turns are given out a little closer than the receiver is expected to take them: one too early costs a round trip to
# Redis, one too late an idle place.
_HURRY: Final = 0.6
_SWAY: Final = 0.2


@dataclass(slots=True)
class _Origin:
    """What is known of a receiver: what is under way to it, how long that takes, and what it lets wait."""

    in_flight: int = 0
    places: int = _IN_FLIGHT
    usual_s: float = 0.1
    booked_until: float = 0.0
    closed_until: float = 0.0
    slow_failures: int = 0
    next_try_at: float = 0.0
    accepted_at: float = float("-inf")

    @property
    def is_resting(self) -> bool:
        """Whether it let so many deliveries in a row wait in vain that it is only tried now and then."""
        return self.slow_failures >= _SLOW_FAILURES


class Receivers:
    """A bulkhead and a circuit breaker per origin. Thread-safe; knows what this process saw.

    An origin has at most eight deliveries under way. A further one is given a turn, by how long deliveries to it take,
    and comes back then without having lost an attempt: however many there are for a receiver that takes its time, none
    uses up its retries by waiting, and none holds a slot meanwhile. One that asked by Retry-After to be left alone is.
    Each delivery that waited in vain halves the places, since some receivers take one request after the other; quick
    ones win them back.

    An origin that let three deliveries in a row wait in vain gets one delivery per half minute. If it has accepted
    none for two minutes, the others fail at once, as they would have after waiting, and come back by their retry
    policy; until then it is taken for slow, and they wait for a turn. The first success ends it.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._origins: dict[str, _Origin] = {}

    @contextmanager
    def delivery(self, name: str) -> Iterator[None]:
        """Surround a delivery to an origin.

        Raises NotYet instead of starting it if all places are taken, DeliveryError if the origin is resting.
        """
        with self._lock:
            origin = self._known(name)
            self._admit(name, origin)
        started: float | None = self._clock()
        outcome: DeliveryError | RetryLater | None = None
        try:
            yield
        except (DeliveryError, RetryLater) as error:
            outcome = error
            raise
        except BaseException:
            # Cancelled, or the worker stops: that says nothing about the receiver.
            started = None
            raise
        finally:
            with self._lock:
                origin.in_flight -= 1
                if started is not None:
                    now = self._clock()
                    _learn(origin, outcome, now, now - started)

    def _known(self, name: str) -> _Origin:
        """Return what is known of an origin, which is the newest now; the oldest idle one is forgotten for it."""
        origin = self._origins.pop(name, None) or _Origin()
        self._origins[name] = origin
        if len(self._origins) > _REMEMBERED:
            idle = (key for key, other in self._origins.items() if not other.in_flight and other is not origin)
            self._origins.pop(next(idle, ""), None)
        return origin

    def _admit(self, name: str, origin: _Origin) -> None:
        now = self._clock()
        if origin.is_resting and now < origin.next_try_at:
            reason = f"{name} was not tried: it has let {origin.slow_failures} deliveries in a row wait in vain"
            if now - origin.accepted_at < _ALIVE_S:
                raise NotYet(reason, delay_s=_book(origin, now))
            raise DeliveryError(reason)
        if origin.in_flight >= origin.places:
            raise NotYet(f"{name} has {origin.in_flight} deliveries under way already", delay_s=_book(origin, now))
        if now < origin.closed_until:
            raise NotYet(f"{name} has asked to be left alone for a while", delay_s=_book(origin, now))
        if origin.is_resting:
            # This delivery is the probe. Whatever becomes of it, the next is due after another rest.
            origin.next_try_at = now + _REST_S
        origin.in_flight += 1


def _book(origin: _Origin, now: float) -> float:
    """Give out the next turn; returns how long it is until then, in seconds."""
    reopens = origin.next_try_at if origin.is_resting else origin.closed_until
    opens = max(now + _SOONEST_S, reopens, origin.booked_until)
    origin.booked_until = min(opens + origin.usual_s / origin.places * _HURRY, now + _LATEST_S)
    return origin.booked_until - now


def _learn(origin: _Origin, outcome: DeliveryError | RetryLater | None, now: float, took_s: float) -> None:
    """Learn from how a delivery ended, and after how long."""
    origin.usual_s += _SWAY * (took_s - origin.usual_s)
    if outcome is None or took_s < _SLOW_S:
        origin.slow_failures = 0
    else:
        origin.slow_failures += 1
        origin.next_try_at = now + _REST_S
        origin.places = max(origin.places // 2, 1)
    if outcome is None:
        origin.accepted_at = now
        origin.places = min(origin.places + 1, _IN_FLIGHT) if took_s < _SLOW_S else origin.places
    if isinstance(outcome, RetryLater):
        # The others are spared the same answer, but not for long: they may be for other receivers at this origin.
        origin.closed_until = max(origin.closed_until, now + min(outcome.data["delay_s"] or 0.0, _LATEST_S))
