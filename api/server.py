"""The server: gunicorn with one gevent worker, configured from the settings."""

import gc
import sys
from typing import Any, Final

import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from api.application import Api, build
from api.fast_lane import FastLane
from api.worker import ApiWorker
from workplatform import bootstrap, embedded, logs, processes
from workplatform.alive import SignOfLife
from workplatform.errors import PlatformError
from workplatform.settings import Settings, load

_log = structlog.get_logger()

_GRACE_S: Final = 3
_KEEP_ALIVE_S: Final = 75
_BACKLOG: Final = 2048
_CONNECTIONS: Final = 10_000
_GARBAGE: Final = 10_000  # objects between collections: an array of jobs makes thousands, and no cycles
_STORE_PATIENCE_S: Final = 1.5  # then the client is answered 503, and told when to come back


class ServerLog(Logger):
    """gunicorn's log, sent where everything else goes; what it says of each start and stop is ours to say."""

    def setup(self, cfg: Any) -> None:
        """Leave the handlers to the root logger."""
        self.cfg = cfg
        self.error_log.setLevel("WARNING")
        self.error_log.propagate = True

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Log no access: event streams are asked for with the key in the query."""


class Server(BaseApplication):
    """gunicorn, embedded."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        host = f"[{self._settings.bind_host}]" if ":" in self._settings.bind_host else self._settings.bind_host
        options: dict[str, Any] = {
            "bind": f"{host}:{self._settings.port}",
            "worker_class": ApiWorker,
            "workers": 1,
            "worker_connections": _CONNECTIONS,
            "backlog": _BACKLOG,
            "keepalive": _KEEP_ALIVE_S,
            "graceful_timeout": _GRACE_S,
            "preload_app": True,
            "control_socket_disable": True,
            "forwarded_allow_ips": "",
            "logger_class": ServerLog,
            "post_fork": _end_with_arbiter,
            "when_ready": self._tell,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Api:
        """Build the application, once, before the worker is forked: the two share its memory."""
        ApiWorker.sign = SignOfLife(self._settings.alive_folder, "api")
        api = build(bootstrap.build(self._settings, patience_s=_STORE_PATIENCE_S, acknowledges=True))
        api.wsgi_app = FastLane(api.wsgi_app, api.guard, api.submissions)  # type: ignore[method-assign] # as Flask says
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE)
        return api

    def _tell(self, _arbiter: Any) -> None:
        _log.info("api_listening", host=self._settings.bind_host, port=self._settings.port)


def main() -> None:
    """Serve until a signal ends it; exits with a sentence if the platform cannot be built."""
    try:
        settings = load().settings
        logs.configure(settings, "api")
        server = Server(settings)
        server.wsgi()
        embedded.tell_broken_promise(settings)
    except PlatformError as error:
        sys.exit(f"Error: {error.message}")
    server.run()


def _end_with_arbiter(arbiter: Any, _worker: Any) -> None:
    """Let a worker whose arbiter was killed stop at once and free the port."""
    processes.end_with_parent(arbiter.pid)()
