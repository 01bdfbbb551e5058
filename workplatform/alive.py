"""Signs of life: each role touches a file of its own, and whoever looks after the process reads its age.

Asking the process itself (`celery inspect ping`) costs seconds of CPU a time and calls a busy worker dead. A file says
only that the role's loop turns: whether Redis answers is another question, which `/readyz` answers.

`python -m workplatform.alive`, the health check of the image, looks in ALIVE_DIR; this module imports nothing but what
comes with Python, so that it may be asked often.
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

WITHIN_S: Final = 60.0
_SELDOMEST_S: Final = 5.0


class SignOfLife:
    """The file of one role. Touching it costs a system call every five seconds, however often it is asked for."""

    def __init__(self, folder: Path, role: str) -> None:
        self._path = folder / role
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


def ages(folder: Path) -> dict[str, float]:
    """Return how many seconds ago each role gave a sign of life."""
    now = time.time()
    found = {}
    for path in sorted(folder.glob("*")):
        with suppress(FileNotFoundError):  # the role ended meanwhile
            found[path.name] = now - path.stat().st_mtime
    return found


def are_well(found: dict[str, float], within_s: float = WITHIN_S) -> bool:
    """Whether there are roles, and none of them is silent."""
    return bool(found) and all(age_s <= within_s for age_s in found.values())


def forget_all(folder: Path) -> None:
    """Remove the signs of roles that were killed; for whoever holds the lock on DATA_DIR."""
    for name in ages(folder):
        with suppress(OSError):
            (folder / name).unlink(missing_ok=True)


if __name__ == "__main__":
    _found = ages(Path(os.environ["ALIVE_DIR"]))
    sys.exit(0 if are_well(_found) else f"silent for these seconds: {_found or 'no role is here'}")
