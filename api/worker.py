"""gunicorn's gevent worker, made to stop at once: streams end, requests finish, idle connections are dropped."""

import time
from functools import partial
from typing import Any, Final

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker

_NOTIFY_S: Final = 1.0


class ApiWorker(GeventWorker):
    """Serves an Api.

    The stock worker notices a signal up to a second late, asks once a second whether all connections are closed, and
    a kept-alive connection counts as one that is not.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_told_to_stop = Event()
        self._requests = 0

    def run(self) -> None:
        """Serve until SIGTERM, then let requests finish for at most the graceful timeout."""
        servers = []
        for listener in self.sockets:
            listener.setblocking(True)
            server = StreamServer(listener, handle=partial(self.handle, listener), spawn=Pool(self.worker_connections))
            server.start()
            servers.append(server)
        while self.alive:
            self.notify()
            self._is_told_to_stop.wait(_NOTIFY_S)
        for server in servers:
            server.close()
        self.wsgi.drain()
        self._finish()

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Serve one request."""
        self._requests += 1
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            self._requests -= 1

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Take SIGTERM."""
        super().handle_exit(sig, frame)
        self._is_told_to_stop.set()

    def _finish(self) -> None:
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while self._requests and time.monotonic() < deadline:
            self.notify()
            gevent.sleep(0.02)
