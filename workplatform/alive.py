"""Signs of life: each role touches a file of its own, and whoever looks after the process reads its age.

Asking the process itself (`celery inspect ping`) costs seconds of CPU a time and calls a busy worker dead. A file says
only that the role's loop turns: whether Redis answers is another question, which `/readyz` answers.
"""

import time
from contextlib import suppress
from typing import Final

from workplatform.settings import Settings

_SELDOMEST_S: Final = 5.0


class SignOfLife:
    """The file of one role. Touching it costs a system call every five seconds, however often it is asked for."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._path = settings.alive_folder / role
        self._next = 0.0

    def touch(self) -> None:
        """Say that the role lives; a folder that cannot be written shows as silence."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _SELDOMEST_S
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()

    def remove(self) -> None:
        """Say that the role ended in order."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def ages(settings: Settings) -> dict[str, float]:
    """Return how many seconds ago each role on this machine gave a sign of life."""
    now = time.time()
    found = {}
    for path in sorted(settings.alive_folder.glob("*")):
        with suppress(FileNotFoundError):  # the role ended meanwhile
            found[path.name] = now - path.stat().st_mtime
    return found


def forget_all(settings: Settings) -> None:
    """Remove the signs of roles that were killed; for whoever holds the lock on DATA_DIR."""
    for name in ages(settings):
        with suppress(OSError):
            (settings.alive_folder / name).unlink(missing_ok=True)
