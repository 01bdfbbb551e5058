"""Vitals: what a process and the programs it started use, and what its machine has left."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Vitals:
    """One reading. CPU is in percent of one core, so 250 means two cores and a half; load is of 1, 5 and 15 minutes."""

    cpu_percent: float
    memory_bytes: int
    load: tuple[float, float, float]
    free_scratch_bytes: int


class Monitor:
    """Reads the vitals of this process with its children and theirs; CPU is the mean since the reading before."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._process = psutil.Process()
        self._read_at = time.monotonic()
        self._family = self._process.children(recursive=True)
        self._spent_s, _ = self._use()

    def read(self, *, is_idle: bool = False) -> Vitals:
        """Take a reading.

        It costs a look at every process of the machine, some milliseconds for a few hundred; one that `is_idle` has
        started nothing since the reading before, and the look is spared.
        """
        if not is_idle:
            self._family = self._process.children(recursive=True)
        spent_s, memory_bytes = self._use()
        now = time.monotonic()
        share = (spent_s - self._spent_s) / max(now - self._read_at, 0.001)
        self._spent_s, self._read_at = spent_s, now
        return Vitals(
            # a child whose parent never waited for it takes its share of the sum with it
            cpu_percent=round(100 * max(0.0, share), 1),
            memory_bytes=memory_bytes,
            load=os.getloadavg(),
            free_scratch_bytes=_free_bytes(self._scratch),
        )

    def _use(self) -> tuple[float, int]:
        """Return the CPU seconds of the whole tree, those of ended children included, and its resident bytes.

        Pages that forked children share count once for each of them.
        """
        spent_s, memory_bytes = 0.0, 0
        for process in (self._process, *self._family):
            try:
                if not process.is_running():  # its number may be another's by now
                    continue
                with process.oneshot():
                    times = process.cpu_times()
                    memory_bytes += process.memory_info().rss
            except psutil.Error:
                continue
            spent_s += times.user + times.system + times.children_user + times.children_system
        return spent_s, memory_bytes


def _free_bytes(folder: Path) -> int:
    """Return the free space where the folder is, or will be."""
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
