"""Celery behind one door: the app, the transport and consumer as we need them, and the builder of its messages.

The only module that imports celery and kombu. What the choices rest on is measured in bench/ and told in
docs/operating.md; each broker option has a test in tests/integration/test_broker_options.py.
"""

import importlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import orjson
import structlog
from celery import Celery, signals
from celery.exceptions import Retry
from celery.worker import state as worker_state
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu import serialization
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import Base64

from workplatform.store.keys import JOB_MARK
from workplatform.telling import AttemptFailedError

__all__ = ["Consumer", "Transport", "Wakeups", "add_task", "app", "signals", "warm"]

Begin = Callable[[str, int], Callable[[], None]]

_log = structlog.get_logger()

_MARK: Final = JOB_MARK.encode()
# What Celery imports only when a worker starts.
_WORKER_MODULES: Final = (
    "billiard.pool",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.app.routes",
    "celery.apps.worker",
    "celery.backends.base",
    "celery.concurrency.thread",
    "celery.events.receiver",
    "celery.loaders.app",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer.delayed_delivery",
)
_RETRY_FIRST_S: Final = 0.25
_RETRY_MOST_S: Final = 2.0
_ROOM_POLL_S: Final = 0.1
_HANDOVER_S: Final = 0.002

app = Celery("workplatform", config_source="celeryconfig", set_as_current=False)


def warm() -> None:
    """Do once, before worker processes are forked, what each would do for itself: the memory stays shared."""
    for module in _WORKER_MODULES:
        importlib.import_module(module)
    app.finalize()
    app.loader.import_default_modules()


class Channel(kombu_redis.Channel):
    """kombu's channel without restoring messages.

    A restored message starts a job that still runs a second time when a connection drops, and its path through
    kombu's closed connection kills a busy worker. The record's lease recovers what a restore would.
    """

    do_restore = False


class Transport(kombu_redis.Transport):
    """kombu's Redis transport with our channel, and a short way for messages.

    `take` is offered each message before Celery sees it, and returns whether it took it.
    """

    Channel = Channel
    take: Callable[[Mapping[str, Any]], bool] = staticmethod(lambda message: False)  # noqa: ARG005

    def _deliver(self, message: Mapping[str, Any], queue: str) -> None:
        if not type(self).take(message):
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]


# kombu's own makes a decoder for each message and calls Python for each object in it, for values that JSON has not.
kombu_redis.loads = orjson.loads  # type: ignore[attr-defined, assignment]
# The only door that kombu has: Celery takes the transport from the URL's scheme, whatever broker_transport says.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "workplatform.celery_app:Transport"))


class Consumer(CeleryConsumer):
    """Celery's consumer that reconnects within seconds and stops taking messages while the node is full.

    `has_room` is asked before each message is awaited; while it says no, it is asked again ten times a second.
    `turned` is called at each turn of the loop, at least every three seconds, and between tries to reconnect.
    """

    has_room: Callable[[], bool] = staticmethod(lambda: True)
    turned: Callable[[], None] = staticmethod(lambda: None)

    def ensure_connected(self, conn: Any) -> Any:
        """Connect to Redis, trying for as long as it takes: at first four times a second, then every two."""
        return conn.ensure_connection(
            _tell_connection_error,
            None,
            interval_start=_RETRY_FIRST_S,
            interval_step=_RETRY_FIRST_S,
            interval_max=_RETRY_MOST_S,
            callback=self._between_tries,
        )

    def on_ready(self) -> None:
        """Put the gate before the channel's own prefetch limit, and give jobs to the pool by the shortest way.

        Celery's requests, tracer and results have nothing to do for us. With events switched on, for Flower, they send
        those, and the messages take Celery's way.
        """
        super().on_ready()
        if not (self.event_dispatcher and self.event_dispatcher.enabled):
            Transport.take = staticmethod(partial(_take, self.app.tasks, self.pool.executor.submit))
        self.hub.on_tick.add(type(self).turned)
        qos = self.task_consumer.channel.qos
        can_consume = qos.can_consume
        qos.can_consume = lambda: bool(can_consume()) and self._may_take_more()

    def _between_tries(self) -> None:
        type(self).turned()
        worker_state.maybe_shutdown()

    def _may_take_more(self) -> bool:
        if type(self).has_room():
            return True
        # Nothing else wakes the loop while no message is awaited.
        self.hub.call_later(_ROOM_POLL_S, _nothing)
        return False


class Wakeup:
    """What Celery's worker keeps of a message while its job runs: enough to count and to inspect."""

    def __init__(self, job_id: str, task_name: str, priority: int) -> None:
        self.id = job_id
        self.name = self.task_name = task_name
        self.priority = priority
        self.accepted_at: float | None = None

    def info(self, *, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002 - Celery's signature
        """Describe the job for `celery inspect`."""
        return {"id": self.id, "name": self.name, "args": [self.id], "kwargs": {}, "time_start": self.accepted_at}


def _take(tasks: Mapping[str, Any], submit: Callable[..., Any], message: Mapping[str, Any]) -> bool:
    """Give a message's job to the pool, if it is one of ours."""
    headers, properties = message.get("headers") or {}, message.get("properties") or {}
    begin: Begin | None = getattr(tasks.get(headers.get("task", "")), "begin", None)
    job_id, priority = headers.get("id"), properties.get("priority")
    if begin is None or not isinstance(job_id, str) or not isinstance(priority, int):
        return False
    run = begin(job_id, priority)
    wakeup = Wakeup(job_id, headers["task"], priority)
    worker_state.task_reserved(wakeup)
    begun = threading.Lock()
    begun.acquire()
    submit(_serve, run, wakeup, begun.release)
    # Python runs one thread at a time: the loop would turn on, about 0.4 ms, while the job's thread waits for its turn.
    begun.acquire(timeout=_HANDOVER_S)
    return True


def _serve(run: Callable[[], None], wakeup: Wakeup, tell_begun: Callable[[], None]) -> None:
    tell_begun()
    wakeup.accepted_at = time.time()
    worker_state.task_accepted(wakeup)
    try:
        run()
    except Exception:  # noqa: BLE001 - the thread's edge: the job's lease brings it to another worker
        _log.exception("executor_failed", job_id=wakeup.id)
    finally:
        worker_state.task_ready(wakeup)


def add_task(name: str, begin: Begin) -> None:
    """Register the Celery task of a job type; `begin` takes a job's id and priority and gives what is to be run.

    Only with events switched on is the task itself called; Flower then shows how each attempt ended.
    """

    @app.task(  # type: ignore[untyped-decorator]
        name=name, bind=True, throws=(AttemptFailedError,)
    )
    def task(self: Any) -> None:
        try:
            begin(self.request.id, self.request.delivery_info["priority"])()
        except AttemptFailedError as error:
            if error.is_final:
                raise
            raise Retry(error.message, error) from None

    task.begin = begin


def _tell_connection_error(error: Exception, interval_s: float) -> None:
    _log.warning("broker_unreachable", error=str(error), retry_in_s=interval_s)


def _nothing() -> None:
    """Let the event loop turn once."""


class Wakeups:
    """Builds the Celery messages that wake a worker up for a job. They carry the job's id and nothing else."""

    def __init__(self) -> None:
        self._templates: dict[tuple[str, str, int], bytes] = {}

    def template(self, job_type: str, queue: str, priority: int) -> bytes:
        """Return the message for any job, as kombu's Redis transport stores it, with JOB_MARK for the job's id."""
        key = (job_type, queue, priority)
        if key not in self._templates:
            self._templates[key] = _template(job_type, queue, priority).encode()
        return self._templates[key]

    def build(self, job_id: str, job_type: str, queue: str, priority: int) -> bytes:
        """Return the message for a job."""
        return self.template(job_type, queue, priority).replace(_MARK, job_id.encode())


def _template(job_type: str, queue: str, priority: int) -> str:
    """Build a message (protocol 2) with Celery's and kombu's own code, the job's id left open.

    As short as it can be, since Redis writes it for each job: a header that is null may be left out.
    """
    task = app.amqp.as_task_v2(JOB_MARK, job_type, argsrepr=f"('{JOB_MARK}',)", kwargsrepr="{}", ignore_result=True)
    content_type, encoding, body = serialization.dumps(task.body, serializer="json")
    return json.dumps(
        {
            "body": Base64().encode(body),
            "content-encoding": encoding,
            "content-type": content_type,
            "headers": {name: value for name, value in task.headers.items() if value is not None},
            "properties": {
                **task.properties,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": priority,
                "body_encoding": "base64",
                "delivery_tag": JOB_MARK,
            },
        },
        separators=(",", ":"),
    )
