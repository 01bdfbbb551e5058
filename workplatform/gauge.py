"""The gauge: looks every so often at the disk space that running attempts take, and stops those that take too much.

It has a thread of its own: a slow disk must not hold up the beats that renew the leases.
"""

import threading
import time
from collections import defaultdict
from typing import Final, Protocol

import structlog

from workplatform.endings import describe, may_be_for_lack_of_space
from workplatform.errors import NoSpaceError
from workplatform.pulse import Pulse
from workplatform.storage.space import Limits, Usage

_EVERY_S: Final = 2.0
_SHARE: Final = 50  # looking takes at most a fiftieth of the time
_log = structlog.get_logger()


class Taking(Protocol):
    """The files of an attempt."""

    def usage(self) -> list[Usage]:
        """Return what is on disk and not committed yet."""

    def require_room(self) -> None:
        """Raise NoSpaceError if a disk that the attempt uses is full."""


class Gauge:
    """Watches the attempts of a worker process.

    An attempt over its limit is stopped. Where a disk has less room left than it has to, the attempt that takes the
    most of it is; the next one only if that does not help.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._watched: dict[Pulse, Taking] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gauge", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def add(self, pulse: Pulse, files: Taking) -> None:
        """Watch an attempt."""
        self._watched[pulse] = files

    def remove(self, pulse: Pulse) -> None:
        """Let go of an attempt that has ended."""
        self._watched.pop(pulse, None)

    def look(self) -> None:
        """Look once."""
        takers: dict[int, list[tuple[int, Pulse, Usage]]] = defaultdict(list)
        for pulse, files in list(self._watched.items()):
            taken_bytes = 0
            for usage in files.usage():
                taken_bytes += usage.taken_bytes
                takers[usage.device].append((usage.taken_bytes, pulse, usage))
            pulse.takes(taken_bytes)
            if taken_bytes > self.limits.most_bytes:
                self._stop(pulse, taken_bytes, _over(taken_bytes, self.limits.most_bytes))
        for group in takers.values():
            taken_bytes, pulse, usage = max(group, key=lambda taker: taker[0])
            if taken_bytes and self.limits.is_short(usage.folder):
                self._stop(pulse, taken_bytes, f"the disk of {usage.folder} ran full while the job was at work")

    def _stop(self, pulse: Pulse, taken_bytes: int, why: str) -> None:
        if pulse.stop(NoSpaceError(why)):
            _log.warning("space_ran_out", job_id=pulse.job_id, taken_bytes=taken_bytes, reason=why)

    def _run(self) -> None:
        pause_s = _EVERY_S
        while not self._stopped.wait(pause_s):
            begun = time.monotonic()
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the thread's edge: without it nobody would look any more
                _log.exception("gauge_broke")
            pause_s = max(_EVERY_S, _SHARE * (time.monotonic() - begun))


def or_lack_of_space(error: Exception, files: Taking) -> Exception:
    """Return what ended an attempt: lack of space, where a program or a library failed and a disk is full."""
    if may_be_for_lack_of_space(error):
        try:
            files.require_room()
        except NoSpaceError as full:
            return NoSpaceError(f"{full.message}; the attempt ended with: {describe(error)['message']}")
    return error


def _over(taken_bytes: int, most_bytes: int) -> str:
    return (
        f"the attempt took {taken_bytes / 10**6:,.1f} MB of disk space, "
        f"and may take {most_bytes / 10**6:,.1f} MB (SCRATCH_LIMIT_BYTES)"
    )
