"""How long a transfer goes on trying when its connections break or its file changes under it."""

import threading
from collections.abc import Callable
from typing import Final

from workplatform.errors import SourceUnreachableError

_MOST_IDLE: Final = 3
_MOST_RECONNECTS: Final = 100
_MOST_RESTARTS: Final = 5
_FIRST_WAIT_S: Final = 0.1
_LOOK_S: Final = 0.1


class Patience:
    """What one attempt may spend on a server that breaks off.

    A connection that brought the file further than any before costs little; three in a row that did not end the
    attempt, and so do a hundred of any kind or five beginnings from the first byte.
    """

    def __init__(self, host: str, check: Callable[[], None]) -> None:
        self._host = host
        self._check = check
        self._furthest = 0
        self._idle = 0
        self._reconnects = 0
        self._restarts = 0

    def spend(self, have: int, reason: str) -> None:
        """Wait a little after a connection broke; raises SourceUnreachableError when it is enough."""
        self._reconnects += 1
        self._idle = 0 if have > self._furthest else self._idle + 1
        self._furthest = max(have, self._furthest)
        if self._idle >= _MOST_IDLE or self._reconnects >= _MOST_RECONNECTS:
            raise SourceUnreachableError(f"{self._host}: {reason}; {self._reconnects} connections broke")
        pause(_FIRST_WAIT_S * 2**self._idle, self._check)

    def restart(self) -> None:
        """Note that the file is begun anew; raises SourceUnreachableError when it is enough."""
        self._restarts += 1
        if self._restarts > _MOST_RESTARTS:
            raise SourceUnreachableError(f"{self._host}: the file cannot be resumed, and was begun too often")


def pause(seconds: float, check: Callable[[], None]) -> None:
    """Wait, unless `check` raises the reason to stop."""
    waiting = threading.Event()
    while seconds > 0:
        check()
        waiting.wait(min(seconds, _LOOK_S))
        seconds -= _LOOK_S
    check()
