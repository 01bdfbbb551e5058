"""Bulletins: telling receivers of attempts that run, that they have begun and how far they are.

They are made beside the job's own transitions: one that is lost changes nothing for the job. An attempt that has ended
cannot make any; of its progress, nothing that waits by then is delivered.
"""

from dataclasses import dataclass
from typing import Final

import structlog

from workplatform.callbacks import Callbacks
from workplatform.errors import StoreUnavailableError
from workplatform.hooks import Bulletin
from workplatform.pulse import Pulse, State
from workplatform.store.deliveries import DeliveryBook
from workplatform.store.records import Grant

EVERY_S: Final = 1.0

_log = structlog.get_logger()


@dataclass(slots=True)
class _Watched:
    """An attempt of whose progress a receiver is told, and what it was told last."""

    grant: Grant
    pulse: Pulse
    told: State = State()  # noqa: RUF009 - immutable


class Bulletins:
    """The bulletins of one worker process. Thread-safe."""

    def __init__(self, book: DeliveryBook, callbacks: Callbacks) -> None:
        self._book = book
        self._callbacks = callbacks
        self._watched: dict[tuple[str, int], _Watched] = {}

    def begin(self, grant: Grant, pulse: Pulse) -> None:
        """Tell that an attempt begins, and from now on of its progress, as far as somebody wants to know."""
        if "callback" not in grant.spec:
            return
        if self._callbacks.wants(grant, "started"):
            self._tell(grant, "started", pulse.state)
        if self._callbacks.wants(grant, "progress"):
            self._watched[grant.id, grant.fence] = _Watched(grant, pulse)

    def end(self, grant: Grant) -> None:
        """Tell no more of an attempt."""
        self._watched.pop((grant.id, grant.fence), None)

    def tell_progress(self) -> None:
        """Tell of every attempt that has got further since the last call, which was EVERY_S seconds ago or more."""
        for watched in list(self._watched.values()):
            state = watched.pulse.state
            if state != watched.told and self._tell(watched.grant, "progress", state):
                watched.told = state

    def _tell(self, grant: Grant, event: Bulletin, state: State) -> bool:
        """Store a bulletin; False if Redis does not take it now."""
        delivery = self._callbacks.for_attempt(grant, event, state)
        try:
            if delivery is not None:
                self._book.tell(grant, event, delivery)
        except StoreUnavailableError as error:
            _log.warning("bulletin_lost", job_id=grant.id, told=event, error=error.message)
            return False
        return True
