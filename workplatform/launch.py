"""Which processes make the platform on one machine, and what is checked before any of them starts."""

import errno
import gc
import http.client
import importlib
import importlib.util
import os
import socket
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import psutil
import structlog

from workplatform import alive, embedded, logs, processes, runlock
from workplatform.address import local_host, local_url
from workplatform.errors import AlreadyRunningError, SettingsError, StoreUnavailableError
from workplatform.linelog import LineLog, LineStream
from workplatform.registry import preloads
from workplatform.runlock import RunLock
from workplatform.settings import Settings
from workplatform.supervisor import Role, Supervisor

_PORT_PATIENCE = timedelta(seconds=10)
_FALSE_STARTS = 3
_ROLE_MODULES = ("workplatform.worker", "workplatform.scheduler", "workplatform.bootstrap", "workplatform.celery_app")

log = structlog.get_logger()


def up(settings: Settings, *, with_flower: bool = False) -> int:
    """Run the whole platform, Flower too if wanted, until a signal ends it; returns the exit code.

    Raises AlreadyRunningError if the data directory or the port is taken, RegistryError if a job type is declared
    wrongly, SettingsError if DATA_DIR, BIND_HOST, PORT or a CONCURRENCY_... cannot be used or Flower is not installed,
    StoreUnavailableError if the job store does not start; nothing is left running then.
    """
    if with_flower:
        settings = _with_events(settings)
    lock = runlock.acquire(settings)
    try:
        patience = _PORT_PATIENCE if lock.is_after_crash else timedelta(0)
        check_port(settings, patience=patience)
        if with_flower:
            check_port(settings, setting="FLOWER_PORT", patience=patience)
        alive.forget_all(settings.alive_folder)
        settings = _hand_down_log_style(settings)
        lines = _own_log(settings)
        with Supervisor(lines, grace=settings.shutdown_grace) as supervisor:
            _run(supervisor, settings, lock, with_flower=with_flower)
        log.info("stopped")
    finally:
        if lock.is_ours:
            embedded.tidy(settings)
        lock.release()
    return 0


def check_port(settings: Settings, *, setting: str = "PORT", patience: timedelta = timedelta(0)) -> None:
    """Raise AlreadyRunningError, naming the process if it can be found, if a port is taken for `patience`.

    Raises SettingsError if nobody could listen there.
    """
    port = getattr(settings, setting.lower())
    deadline = time.monotonic() + patience.total_seconds()
    while _is_taken(settings.bind_host, port, setting):
        if time.monotonic() >= deadline:
            raise AlreadyRunningError(
                f"port {port} on {settings.bind_host} is in use{_user_of(port)}: stop it, or set another {setting}",
                port=port,
            )
        time.sleep(0.05)


def _with_events(settings: Settings) -> Settings:
    """Have the workers tell Flower of their tasks: Celery's own settings learn it by the environment."""
    if importlib.util.find_spec("flower") is None:
        raise SettingsError("Flower is not installed: pip install 'workplatform[flower]'")
    os.environ["TASK_EVENTS"] = "true"
    return settings.model_copy(update={"task_events": True})


def _run(supervisor: Supervisor, settings: Settings, lock: RunLock, *, with_flower: bool) -> None:
    if settings.queue_type == "memory":
        embedded.prepare(settings)
        command = embedded.command(settings)
        supervisor.start(Role("server", processes.program(command, keep=[lock.fd]), is_foundation=True))
    api = [sys.executable, "-m", "api"]
    supervisor.start(Role("api", processes.program(api)))
    roles = _preload(settings, lock)
    if with_flower:
        roles.append(Role("flower", partial(_forked, lock, settings, "flower", partial(_flower, settings))))
    if not supervisor.run(until=_store_is_ready(supervisor, settings)):
        return
    for role in roles:
        supervisor.start(role)
    if supervisor.run(until=partial(_is_serving, settings)):
        flower = {"flower": local_url(settings, settings.flower_port)} if with_flower else {}
        log.info("ready", api=f"{local_url(settings)}/api", dashboard=f"{local_url(settings)}/", **flower)
        supervisor.run()
    log.info("stopping", grace_s=settings.shutdown_grace.total_seconds())


def _preload(settings: Settings, lock: RunLock) -> list[Role]:
    """Import once what the forked roles need, and return them.

    Pages that are never written stay shared. gc.freeze keeps the collector off them: it would write to every object.
    The platform is built here too, nothing is connected: each role would write to those pages by building its own, and
    what is wrong with the settings ends `up`, not each role again and again.
    """
    worker, scheduler, bootstrap, celery = (importlib.import_module(name) for name in _ROLE_MODULES)
    platform = bootstrap.build(settings)
    celery.warm()
    for declared in platform.registry.values():
        for module in preloads(declared):
            importlib.import_module(module)
    gc.collect()
    gc.freeze()
    starts = {queue: partial(worker.run, platform, queue) for queue in sorted(platform.registry.queues)}
    starts["scheduler"] = partial(scheduler.run, platform)
    return [Role(name, partial(_forked, lock, settings, name, start)) for name, start in starts.items()]


def _forked(lock: RunLock, settings: Settings, name: str, start: Callable[[], int]) -> int:
    """Run a role in a fork: the lock is not its to keep, or it would bar a new platform while it drains."""
    lock.forget()
    logs.configure(settings, name)
    return start()


def _flower(settings: Settings) -> int:
    """Run Flower, imported by its own process alone: it is the one that needs it."""
    return int(importlib.import_module("workplatform.flower").run(settings))


def _store_is_ready(supervisor: Supervisor, settings: Settings) -> Callable[[], bool]:
    if settings.queue_type == "redis" and not embedded.is_ready(settings):
        log.warning("waiting_for_redis", redis_url=embedded.shown_address(settings))

    def ready() -> bool:
        if settings.queue_type == "memory" and supervisor.deaths("server") >= _FALSE_STARTS:
            raise StoreUnavailableError("the embedded server does not start; its own words are above")
        return embedded.is_ready(settings)

    return ready


def _is_serving(settings: Settings) -> bool:
    """Whether the API answers that it and the workers are ready."""
    connection = http.client.HTTPConnection(local_host(settings), settings.port, timeout=0.25)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _own_log(settings: Settings) -> LineLog:
    lines = LineLog(sys.stdout, console=settings.log_format == "console")
    logs.configure(settings, "up", LineStream(lines, "up"))
    return lines


def _hand_down_log_style(settings: Settings) -> Settings:
    """Let the roles, whose output is a pipe, write as this process does: exec'd ones learn it by the environment."""
    style = "console" if logs.is_console(settings, sys.stdout) else "json"
    os.environ["LOG_FORMAT"] = style
    os.environ["PYTHONUNBUFFERED"] = "1"
    if logs.is_coloured(sys.stdout):
        os.environ["FORCE_COLOR"] = "1"
    return settings.model_copy(update={"log_format": style})


def _is_taken(host: str, port: int, setting: str) -> bool:
    try:
        family, kind, proto, _, sockaddr = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise SettingsError(f"BIND_HOST={host} is no address and no known name: {error}") from error
    with socket.socket(family, kind, proto) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(sockaddr)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingsError(f"cannot listen on BIND_HOST={host} {setting}={port}: {error.strerror}") from error
            return True
    return False


def _user_of(port: int) -> str:
    """Return " by pid N (name)" for the process that listens on the port, or nothing where we may not look."""
    try:
        for connection in psutil.net_connections("tcp"):
            is_it = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if is_it and connection.pid:
                return f" by pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass
    return ""
