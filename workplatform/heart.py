"""The heart of a worker process: one thread that renews leases, carries progress out and brings cancellation in.

All running jobs of the process share one round trip a beat. When Redis is away the jobs go on: a lease that ran out
is renewed as long as nobody else has taken the job; if somebody has, the next beat says so and the attempt stops.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from workplatform.errors import Cancelled, LeaseLostError, PlatformError, ShuttingDown, StoreUnavailableError
from workplatform.pulse import Pulse
from workplatform.store.jobs import JobStore
from workplatform.store.records import Beat

_SOONEST_S: Final = 0.25
_SILENT_S: Final = 30.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Chore:
    """Something the heart does besides, every so often."""

    every_s: float
    work: Callable[[], None]


class Heart:
    """Beats every `interval`, and a quarter of a second after something changed."""

    def __init__(self, store: JobStore, *, interval: timedelta, lease: timedelta, chores: tuple[Chore, ...]) -> None:
        self._store = store
        self._interval_s = interval.total_seconds()
        self._lease = lease
        self._chores = chores
        self._chores_done = [float("-inf")] * len(chores)
        self._pulses: dict[tuple[str, int], Pulse] = {}
        self._ending_at: float | None = None
        self._is_stopped = False
        self._turned_at = float("-inf")
        self.changed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating; what still runs loses its lease."""
        self._is_stopped = True
        self.changed.set()

    def add(self, pulse: Pulse) -> None:
        """Keep an attempt alive."""
        self._pulses[pulse.job_id, pulse.fence] = pulse

    def remove(self, pulse: Pulse) -> None:
        """Let go of an attempt that has ended."""
        self._pulses.pop((pulse.job_id, pulse.fence), None)

    def keeps(self, job_id: str, fence: int) -> bool:
        """Whether an attempt runs in this process."""
        return (job_id, fence) in self._pulses

    @property
    def attempts(self) -> list[tuple[str, int]]:
        """The ids and fences of the attempts that run in this process."""
        return list(self._pulses)

    @property
    def running(self) -> int:
        """How many attempts run in this process."""
        return len(self._pulses)

    @property
    def is_beating(self) -> bool:
        """Whether the thread turned within the last half minute; whether Redis answered it is another question."""
        return time.monotonic() - self._turned_at < _SILENT_S

    def drain(self, grace: timedelta) -> None:
        """Have what still runs after the grace go back to its queue."""
        if self._ending_at is None:
            self._ending_at = time.monotonic() + grace.total_seconds()

    def _run(self) -> None:
        while not self._is_stopped:
            self._turned_at = time.monotonic()
            try:
                self._beat()
            except StoreUnavailableError as error:
                _log.warning("beat_failed", error=str(error), running=self.running)
            except Exception:  # noqa: BLE001 - the thread's edge: without it every lease of the process would run out
                _log.exception("beat_broke")
            if self.changed.wait(self._interval_s):
                time.sleep(_SOONEST_S)
            self.changed.clear()

    def _beat(self) -> None:
        if self._ending_at is not None and time.monotonic() >= self._ending_at:
            for pulse in list(self._pulses.values()):
                pulse.stop(ShuttingDown())
        self._renew()
        for number, chore in enumerate(self._chores):
            if time.monotonic() - self._chores_done[number] >= chore.every_s:
                self._chores_done[number] = time.monotonic()
                chore.work()

    def _renew(self) -> None:
        # An overdue handler ignores its time limit: its lease runs out, so that the job does not wait for it.
        pulses = [pulse for pulse in list(self._pulses.values()) if not pulse.is_overdue]
        if not pulses:
            return
        beats = [pulse.take() for pulse in pulses]
        try:
            verdicts = self._store.beat(self._lease, beats)
        except StoreUnavailableError:
            for pulse, beat in zip(pulses, beats, strict=True):
                pulse.give_back(beat)
            raise
        for pulse, beat, verdict in zip(pulses, beats, verdicts, strict=True):
            if reason := _reason(verdict, beat):
                pulse.stop(reason)


def _reason(verdict: str, beat: Beat) -> PlatformError | None:
    if verdict == "cancelled":
        return Cancelled()
    if verdict == "lost":
        return LeaseLostError(f"attempt {beat.fence} of {beat.job_id} no longer owns the job")
    return None
