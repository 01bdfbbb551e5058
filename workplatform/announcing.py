"""Announcing: how a worker process says that it lives, what it serves, what it runs and how it fares."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from workplatform import __version__
from workplatform.settings import Settings
from workplatform.store.workers import Announcement, WorkerRegister
from workplatform.vitals import Monitor, Vitals

_A_LEASE: Final = 4  # announcements in a lease: three may get lost before the worker counts as gone


class Announcer:
    """Announces one worker process under an id of its own, so that two of the same name are both seen.

    An announcement stands for the length of a lease, so a killed worker is gone after that time at most. Thread-safe:
    none can follow the withdrawal.
    """

    def __init__(
        self, register: WorkerRegister, settings: Settings, *, name: str, queues: Sequence[str], slots: int
    ) -> None:
        self._register = register
        self._settings = settings
        self._id = f"{name}/{uuid.uuid4().hex[:8]}"
        self._name = name
        self._queues = tuple(queues)
        self._slots = slots
        self._monitor = Monitor(settings.data_dir)
        self._was_idle = False
        self._started_at = time.monotonic()
        self._lock = threading.Lock()
        self._is_withdrawn = False

    @property
    def every_s(self) -> float:
        """Seconds between announcements."""
        return self._settings.lease.total_seconds() / _A_LEASE

    def announce(self, attempts: Sequence[tuple[str, int]], *, is_draining: bool) -> bool:
        """Say it once; `attempts` are the ids and fences of what runs.

        Returns whether a job waits that could be claimed on this node. Raises StoreUnavailableError.
        """
        with self._lock:
            if self._is_withdrawn:
                return False
            age = timedelta(seconds=time.monotonic() - self._started_at)
            is_idle, self._was_idle = not attempts and self._was_idle, not attempts
            about = self._announcement(self._monitor.read(is_idle=is_idle), is_draining=is_draining)
            return self._register.announce(self._id, about, attempts=attempts, age=age, lifetime=self._settings.lease)

    def withdraw(self) -> None:
        """Be gone at once, and for good; raises StoreUnavailableError."""
        with self._lock:
            self._is_withdrawn = True
            self._register.withdraw(self._id, self._queues)

    def _announcement(self, vitals: Vitals, *, is_draining: bool) -> Announcement:
        return Announcement(
            name=self._name,
            node=self._settings.node_name,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            queues=self._queues,
            slots=self._slots,
            node_slots=self._settings.max_concurrent_jobs,
            is_draining=is_draining,
            cores=os.cpu_count() or 1,
            cpu_percent=vitals.cpu_percent,
            memory_bytes=vitals.memory_bytes,
            load=vitals.load,
            free_scratch_bytes=vitals.free_scratch_bytes,
        )
