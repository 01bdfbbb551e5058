"""gunicorn's gevent worker, made to stop at once: streams end, requests finish, idle connections are dropped."""

import time
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar, Final

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.ggevent import GeventWorker

from api import files_pump, leftover
from api.answers import STATUS_LINES
from api.files_names import FILES
from api.problems import RequestError, answer_error
from workplatform.alive import SignOfLife

_NOTIFY_S: Final = 1.0


_TOO_LONG: Final = {
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
}


class _Whole:
    """A connection during one request, on which the head of the answer waits for the first part of the body.

    gunicorn writes them one after the other: two system calls, two packets, and a client that is woken up twice.
    """

    def __init__(self, sock: Any, *, is_patient: bool) -> None:
        self._sock = sock
        self._head: bytes | None = None
        self._is_begun = False
        self._is_patient = is_patient
        self._interim = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def send(self, data: bytes, *how: Any) -> Any:
        """Send gunicorn's `100 Continue`, or keep it until go_ahead() if an answer may come before the body.

        With the flags and the timeout that an event stream adds, it is the socket's own.
        """
        if how:
            return self._sock.send(data, *how)
        if self._is_patient:
            self._interim = data
            return len(data)
        self._sock.sendall(data)
        return len(data)

    def go_ahead(self) -> None:
        """Tell a client that asked first to send its body."""
        interim, self._interim = self._interim, b""
        if interim:
            self._sock.sendall(interim)

    def sendall(self, data: bytes) -> None:
        """Send all of it, but for the head alone."""
        if not self._is_begun:
            self._is_begun = True
            self._head = data
        elif self._head is None:
            self._sock.sendall(data)
        else:
            head, self._head = self._head, None
            self._sock.sendall(head + data)

    def sendfile(self, file: Any, offset: int = 0, count: int = 0) -> None:
        """Send a part of a file after the head."""
        self.flush()
        files_pump.send(self._sock, file, offset=offset, count=count)

    def flush(self) -> None:
        """Send the head of an answer that has no body."""
        if self._head is not None:
            head, self._head = self._head, None
            self._sock.sendall(head)


class ApiWorker(GeventWorker):
    """Serves an Api.

    The stock worker notices a signal up to a second late, asks once a second whether all connections are closed, and
    a kept-alive connection counts as one that is not.
    """

    sign: ClassVar[SignOfLife | None] = None

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
            if self.sign is not None:
                self.sign.touch()
            self._is_told_to_stop.wait(_NOTIFY_S)
        for server in servers:
            server.close()
        self.wsgi.drain()
        self._finish()

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Serve one request."""
        self._requests += 1
        whole = _Whole(sock, is_patient=req.path.startswith(FILES))
        try:
            return super().handle_request(listener_name, req, whole, addr)
        finally:
            whole.flush()
            self._requests -= 1
            if leftover.is_large(req.body):
                leftover.drain(sock)
                req.body.failed = True  # by which gunicorn knows that no other request follows

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:  # noqa: ARG002 - gunicorn's
        """Answer what cannot be read as HTTP, or failed outside the application, as every other error."""
        with suppress(OSError):
            client.sendall(_answer(exc))

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Take SIGTERM."""
        super().handle_exit(sig, frame)
        self._is_told_to_stop.set()

    def _finish(self) -> None:
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while self._requests and time.monotonic() < deadline:
            self.notify()
            gevent.sleep(0.02)


def _answer(error: Exception) -> bytes:
    """Return the whole answer to a request that did not come as far as the application."""
    if isinstance(error, ParseException):
        status = _TOO_LONG.get(type(error), HTTPStatus.BAD_REQUEST)
        error = RequestError(status, f"the request is not HTTP as it should be: {str(error) or type(error).__name__}")
    answer = answer_error(error)
    lines = [f"HTTP/1.1 {STATUS_LINES[answer.status]}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in answer.all_headers()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body
