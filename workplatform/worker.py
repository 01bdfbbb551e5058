"""The worker role: a Celery worker process that serves one queue (or several, with Celery's own command).

Celery brings the message and the thread; `Executor` does the rest. Stopping: the process takes no new job at once,
running jobs get the grace, then go back to their queue without losing an attempt.
"""

import gc
import logging
import os
import signal
import threading
import warnings
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, Final

import psutil
import structlog

from workplatform import browsing
from workplatform.alive import SignOfLife
from workplatform.announcing import Announcer
from workplatform.attempt import Tools
from workplatform.bootstrap import Platform, build
from workplatform.bulletins import EVERY_S, Bulletins
from workplatform.celery_app import Consumer, add_task, app, signals
from workplatform.children import ChildPool
from workplatform.deafness import Watchdog
from workplatform.errors import PlatformError, SettingsError, StoreUnavailableError
from workplatform.executor import Executor
from workplatform.gauge import Gauge
from workplatform.heart import Chore, Heart
from workplatform.nursery import nursery_of
from workplatform.registry import JobType, preloads
from workplatform.settings import Settings, load
from workplatform.storage.files import remotes_of
from workplatform.storage.journal import Journals
from workplatform.storage.paths import roots_of
from workplatform.storage.space import Limits
from workplatform.storage.store_sweeping import StoreSweeper
from workplatform.storage.sweeping import sweep_dead_attempts

_SWEPT_EVERY_LEASES: Final = 2.5
_LAST_CALL: Final = timedelta(seconds=5)
_GARBAGE: Final = 10_000  # objects between collections: every second job would pay for one, and makes no cycles

_log = structlog.get_logger()


class Crew:
    """What a worker process needs besides Celery: built when Celery starts the process, closed when it stops."""

    def __init__(self, platform: Platform, *, worker: str, queues: list[str], slots: int, sends_events: bool) -> None:
        settings = platform.settings
        self._platform = platform
        self._announcer = Announcer(platform.store.workers, settings, name=worker, queues=queues, slots=slots)
        self._slots = slots
        self._watchdog = Watchdog(settings.deaf_after, every_s=self._announcer.every_s)
        self._sign = SignOfLife(settings.alive_folder, f"worker-{'+'.join(queues)}")
        self._journals = Journals(settings.run_dir / "attempts")
        self._remotes = remotes_of(settings, platform.outbound)
        self._bulletins = Bulletins(platform.store.deliveries, platform.callbacks)
        self._children = ChildPool(preload=_preloads(platform, queues))
        self._heart = Heart(
            platform.store,
            interval=settings.heartbeat,
            lease=settings.lease,
            chores=(
                Chore(self._announcer.every_s, self._announce_and_watch),
                Chore(EVERY_S, self._bulletins.tell_progress),
                Chore(_SWEPT_EVERY_LEASES * settings.lease.total_seconds(), self._sweep),
            ),
        )
        self._store_sweeper = StoreSweeper(
            self._remotes.traces, self._remotes.s3, platform.store, is_ours=self._heart.keeps
        )
        self._gauge = Gauge(Limits(settings.scratch_limit_bytes, settings.min_free_bytes))
        self.executor = Executor(self._tools(), worker=worker, takes_next=not sends_events)

    def start(self) -> None:
        """Begin to beat, under the limits that the settings name."""
        with suppress(StoreUnavailableError):  # the scheduler writes them down as soon as it can
            self._platform.limits.publish()
        self._heart.start()
        self._gauge.start()

    def show_life(self) -> None:
        """Touch the worker's file of life; called by Celery's loop, and true of the heart too."""
        if self._heart.is_beating:
            self._sign.touch()

    def drain(self) -> None:
        """Take no further job, and end within the grace and a few seconds whatever the handlers do.

        Runs in a signal handler: it only leaves word for the other threads.
        """
        grace = self._platform.settings.shutdown_grace
        self.executor.drain()
        self._heart.drain(grace)
        threading.Thread(target=self._announce_end, name="last_words", daemon=True).start()
        last_call = threading.Timer((grace + _LAST_CALL).total_seconds(), self._give_up)
        last_call.daemon = True
        last_call.start()

    def close(self) -> None:
        """Withdraw the announcement, stop beating, end the idle children."""
        self.executor.drain()
        self._heart.stop()
        self._gauge.stop()
        with suppress(StoreUnavailableError):
            self._announcer.withdraw()
        self._children.close()
        self._platform.close()
        self._sign.remove()

    def _tools(self) -> Tools:
        platform = self._platform
        return Tools(
            settings=platform.settings,
            store=platform.store,
            heart=self._heart,
            gauge=self._gauge,
            children=self._children,
            journals=self._journals,
            roots=roots_of(platform.settings),
            outbound=platform.outbound,
            remotes=self._remotes,
            registry=platform.registry,
            submitter=platform.submitter,
            callbacks=platform.callbacks,
            bulletins=self._bulletins,
        )

    def _announce(self) -> bool:
        return self._announcer.announce(self._heart.attempts, is_draining=self.executor.is_draining)

    def _announce_and_watch(self) -> None:
        """Announce, and end in order if nothing comes although something is there: whoever started us does so again."""
        has_claimable = self._announce()
        executor = self.executor
        could_take = has_claimable and not executor.is_draining and executor.serving < self._slots
        if self._watchdog.is_deaf(could_take=could_take, taken=executor.taken):
            _log.critical("worker_is_deaf", taken=executor.taken, running=self._heart.running)
            os.kill(os.getpid(), signal.SIGTERM)

    def _announce_end(self) -> None:
        with suppress(StoreUnavailableError):  # the announcements that follow say it too
            self._announce()

    def _sweep(self) -> None:
        sweep_dead_attempts(self._journals, self._platform.store, is_ours=self._heart.keeps)
        browsing.sweep_profiles(self._platform.settings.data_dir / "work" / "browser")
        self._store_sweeper.start()

    def _give_up(self) -> None:
        _log.critical("handlers_did_not_stop", running=self._heart.running)
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(70)


_platform: Platform | None = None


def run(platform: Platform, queue: str) -> int:
    """Serve a queue until SIGTERM; returns the exit code. Raises SettingsError for a queue without job types."""
    global _platform
    _platform, settings = platform, platform.settings
    nursery_of(os.getpid(), _preloads(platform, [queue]))  # as long as there is little that is not shared
    # Celery warns root of pickled messages; ours are JSON and nothing else is accepted.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
    # Told at each lost connection: that Celery 6 would end what runs then. Ours runs on, by its own lease.
    warnings.filterwarnings("ignore", category=PendingDeprecationWarning, module="celery")
    signals.setup_logging.connect(_leave_logging_alone)
    worker = app.Worker(
        hostname=f"{queue}@{settings.node_name}",
        queues=[queue],
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=not settings.task_events,  # by its heartbeats Flower knows who is there
    )
    gc.set_threshold(_GARBAGE)
    worker.start()
    return int(worker.exitcode or 0)


_crew: Crew | None = None


def _recruit(sender: str, conf: Any, options: dict[str, Any], **_: Any) -> None:
    """Prepare the process before Celery builds its worker; Celery would only log an error, so it ends here."""
    global _crew  # noqa: PLW0603 - one worker a process; Celery's signals know no other place
    try:
        _crew = _hired(sender, conf, options)
    except PlatformError as error:
        raise SystemExit(error.message) from error
    except Exception as error:
        _log.exception("worker_cannot_start")
        raise SystemExit(1) from error
    _crew.start()


def _hired(worker: str, conf: Any, options: dict[str, Any]) -> Crew:
    platform = _platform or build(load().settings)  # Celery's own command hands none over
    settings = platform.settings
    os.environ.setdefault("FFMPEG_BIN", settings.ffmpeg_bin)  # where handlers look; `.env` may have said it
    os.environ.setdefault("CHROMIUM_BIN", settings.chromium_bin)
    os.environ.setdefault("BROWSER_PYTHON", settings.browser_python)
    queues = _names(options.get("queues"))
    types = _served_types(platform, queues)
    sends_events = bool(options.get("task_events") or conf.worker_send_task_events)
    slots = options.get("concurrency") or sum(_concurrency(settings, queue, types) for queue in queues)
    crew = Crew(platform, worker=worker, queues=queues, slots=int(slots), sends_events=sends_events)
    if not options.get("concurrency"):
        conf.worker_concurrency = slots
    for declared in types:
        add_task(declared.name, partial(crew.executor.begin, declared))
    Consumer.turned = staticmethod(crew.show_life)
    Consumer.has_room = staticmethod(lambda: crew.executor.has_room(queues[0]))
    return crew


def _preloads(platform: Platform, queues: list[str]) -> tuple[str, ...]:
    """Return the modules that the children of these queues' job types should find imported."""
    types = [declared for queue in queues for declared in platform.registry.queues.get(queue, [])]
    return tuple(sorted({module for declared in types for module in preloads(declared)}))


def _concurrency(settings: Settings, queue: str, types: list[JobType]) -> int:
    return settings.concurrency_of(queue, max(declared.concurrency for declared in types if declared.queue == queue))


def _served_types(platform: Platform, queues: list[str]) -> list[JobType]:
    known = platform.registry.queues
    unknown = [queue for queue in queues if queue not in known]
    if unknown or not queues:
        names = ", ".join(unknown) or "without a name"
        raise SettingsError(f"no job type uses queue {names}; there are {', '.join(sorted(known))}")
    return [declared for queue in queues for declared in known[queue]]


def _drain(**_: Any) -> None:
    if _crew is not None:
        _crew.drain()


def _dismiss(**_: Any) -> None:
    if _crew is not None:
        _crew.close()


def _leave_logging_alone(**_: Any) -> None:
    """Keep Celery from configuring logs: the role has done it, and the executor tells of each job."""
    logging.getLogger("celery").setLevel(logging.WARNING)


def _names(queues: Any) -> list[str]:
    return queues.split(",") if isinstance(queues, str) else list(queues or ())


signals.celeryd_init.connect(_recruit)
signals.worker_shutting_down.connect(_drain)
signals.worker_shutdown.connect(_dismiss)
