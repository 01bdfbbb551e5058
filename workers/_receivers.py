"""Which receivers are dead at the moment, so that their callbacks do not hold the slots that others need."""

import threading
import time
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


@dataclass(slots=True)
class _Trouble:
    """A receiver that failed slowly: how often in a row, and when a delivery may try it again."""

    slow_failures: int = 0
    next_try_at: float = 0.0


class Receivers:
    """A circuit breaker per origin. Thread-safe; knows what this process saw.

    An origin that let three deliveries in a row wait in vain gets one delivery per half minute; the others fail at
    once, as they would have after waiting, and come back by their retry policy. The first success ends it.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._troubles: dict[str, _Trouble] = {}

    @contextmanager
    def delivery(self, origin: str) -> Iterator[None]:
        """Surround a delivery; raises DeliveryError instead of starting it if the origin is resting."""
        self._admit(origin)
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
            trouble = self._troubles.get(origin)
            if trouble is None or trouble.slow_failures < _SLOW_FAILURES:
                return
            if self._clock() < trouble.next_try_at:
                raise DeliveryError(
                    f"{origin} was not tried: it has let {trouble.slow_failures} deliveries in a row wait in vain"
                )
            # This delivery is the probe. Whatever becomes of it, the next is due after another rest.
            trouble.next_try_at = self._clock() + _REST_S

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
