"""How many deliveries each receiver may hold at the moment, so that none takes the slots that others need."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from workplatform.errors import DeliveryError, RetryLater

# A failure that took less costs nobody a slot worth mentioning: a refused connection, a quick 500.
_SLOW_S: Final = 2.0
_SLOW_FAILURES: Final = 3
_REST_S: Final = 30.0
_REMEMBERED: Final = 1000
# Far enough below the concurrency of the job type that three dead receivers leave a quarter of the slots to the rest.
_IN_FLIGHT: Final = 8


@dataclass(slots=True)
class _Trouble:
    """A receiver that failed slowly: how often in a row, and when a delivery may try it again."""

    slow_failures: int = 0
    next_try_at: float = 0.0


class Receivers:
    """A bulkhead and a circuit breaker per origin. Thread-safe; knows what this process saw.

    An origin has at most eight deliveries under way; a further one fails at once and comes back by its retry policy, so
    that a receiver which stopped answering a moment ago cannot hold every slot before the breaker knows.

    An origin that let three deliveries in a row wait in vain gets one delivery per half minute; the others fail at
    once, as they would have after waiting, and come back by their retry policy. The first success ends it.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._troubles: dict[str, _Trouble] = {}
        self._in_flight: Counter[str] = Counter()

    @contextmanager
    def delivery(self, origin: str) -> Iterator[None]:
        """Surround a delivery; raises DeliveryError instead of starting it if the origin is resting or busy."""
        self._admit(origin)
        try:
            with self._watched(origin):
                yield
        finally:
            self._leave(origin)

    @contextmanager
    def _watched(self, origin: str) -> Iterator[None]:
        """Learn from how a delivery ends, and after how long."""
        started = self._clock()
        try:
            yield
        except (DeliveryError, RetryLater):
            if self._clock() - started >= _SLOW_S:
                self._note_slow_failure(origin)
            else:
                self._forget(origin)
            raise
        self._forget(origin)

    def _admit(self, origin: str) -> None:
        with self._lock:
            if self._in_flight[origin] >= _IN_FLIGHT:
                raise DeliveryError(f"{origin} was not tried: {_IN_FLIGHT} deliveries to it are under way already")
            self._require_awake(origin)
            self._in_flight[origin] += 1

    def _require_awake(self, origin: str) -> None:
        trouble = self._troubles.get(origin)
        if trouble is None or trouble.slow_failures < _SLOW_FAILURES:
            return
        if self._clock() < trouble.next_try_at:
            raise DeliveryError(
                f"{origin} was not tried: it has let {trouble.slow_failures} deliveries in a row wait in vain"
            )
        # This delivery is the probe. Whatever becomes of it, the next is due after another rest.
        trouble.next_try_at = self._clock() + _REST_S

    def _leave(self, origin: str) -> None:
        with self._lock:
            self._in_flight[origin] -= 1
            if not self._in_flight[origin]:
                del self._in_flight[origin]

    def _note_slow_failure(self, origin: str) -> None:
        with self._lock:
            trouble = self._troubles.pop(origin, None) or _Trouble()
            trouble.slow_failures += 1
            trouble.next_try_at = self._clock() + _REST_S
            self._troubles[origin] = trouble
            if len(self._troubles) > _REMEMBERED:
                del self._troubles[next(iter(self._troubles))]

    def _forget(self, origin: str) -> None:
        with self._lock:
            self._troubles.pop(origin, None)
