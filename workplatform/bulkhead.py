"""The bulkhead: what goes wrong with one thing keeps nothing else from being done."""

import time
from collections.abc import Callable
from typing import Any, Final

import structlog

from workplatform.errors import StoreUnavailableError
from workplatform.store.records import NewerRecordError

_AGAIN_AFTER_S: Final = 10.0
_WHOLE_STEP_AFTER_S: Final = 1.0  # much depends on it

_log = structlog.get_logger()


class Bulkhead:
    """Does what is due again and again; what has failed is told of once, and left alone for some seconds.

    So a record that nothing can be done with costs neither the rest of a tick nor a log full of the same error.
    """

    def __init__(self) -> None:
        self._not_before: dict[tuple[str, str], float] = {}

    def run(self, about: str, step: Callable[..., object], *words: Any) -> None:
        """Do a step about a job, a schedule or a group ("": none of these); raises StoreUnavailableError alone."""
        key, now = (step.__qualname__, about), time.monotonic()
        if now < self._not_before.get(key, 0.0):
            return
        try:
            step(*words)
        except StoreUnavailableError:
            raise
        except NewerRecordError as error:
            self._wait(key, now)
            _log.warning("record_is_newer", about=about, error=error.message)
        except Exception:  # noqa: BLE001 - the edge of a step; told with what it is about
            self._wait(key, now)
            _log.exception("scheduler_step_failed", step=step.__qualname__, about=about)

    def _wait(self, key: tuple[str, str], now: float) -> None:
        self._not_before = {known: until for known, until in self._not_before.items() if until > now}
        self._not_before[key] = now + (_AGAIN_AFTER_S if key[1] else _WHOLE_STEP_AFTER_S)
