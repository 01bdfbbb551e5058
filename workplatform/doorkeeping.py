"""Doorkeeping: the scheduler lets in what waits for limits and turns, and keeps memory from running out."""

import time
from typing import Final

import structlog

from workplatform.limiting import LimitService
from workplatform.store.limits import LimitBook

_LOOK_AT_MEMORY_EVERY_S: Final = 1.0
_REFUSED_FOR_MS: Final = 10_000

_log = structlog.get_logger()


class Doorkeeper:
    """Lets in what waits; refuses submissions while more than a share of Redis's maxmemory is in use.

    The refusal ends by itself when nobody renews it, so that it does not outlive the last scheduler.
    """

    def __init__(self, service: LimitService, limits: LimitBook, memory_share: float) -> None:
        self._service = service
        self._limits = limits
        self._memory_share = memory_share
        self._is_published = False
        self._look_at = 0.0
        self._is_short = False

    def tick(self) -> None:
        """Do what is due now."""
        if not self._is_published:
            self._service.publish()
            self._is_published = True
        while self._limits.let_in():
            continue
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_AT_MEMORY_EVERY_S
            self._look_at_memory()

    def _look_at_memory(self) -> None:
        was_short, share = self._is_short, self._limits.memory_share()
        self._is_short = share > self._memory_share
        if self._is_short:
            self._limits.refuse_submissions(_REFUSED_FOR_MS)
        if self._is_short and not was_short:
            _log.warning("memory_short", share=round(share, 3), bound=self._memory_share)
        if was_short and not self._is_short:
            self._limits.refuse_submissions(0)
            _log.info("memory_again", share=round(share, 3))
