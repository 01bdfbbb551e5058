"""Sockets that stop waiting when they are told to: every wait is cut into slices with a question in between.

A blocking read that is bounded only by its own timeout can be held for ever by a peer that sends a byte now and then,
and nothing ends it from outside. These ask their `watch` before each slice, in the thread that waits.
"""

import os
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from errno import EINPROGRESS
from threading import Thread
from typing import Any, Final, TypeVar

from urllib3.util.wait import wait_for_read, wait_for_write

T = TypeVar("T")
Watch = Callable[[], None]
# family, kind, protocol, canonical name, address: an item of socket.getaddrinfo
Candidate = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]

SLICE_S: Final = 0.2


def pause(length_s: float, watch: Watch) -> None:
    """Wait, unless `watch` raises the reason to stop."""
    until = time.monotonic() + length_s
    while (left_s := until - time.monotonic()) > 0:
        watch()
        time.sleep(min(left_s, SLICE_S))


def no_watch() -> None:
    """Let the wait go on."""


class _Patient(socket.socket):
    """The sliced waits, over a plain socket or TLS."""

    watch: Watch = staticmethod(no_watch)
    _limit_s: float | None = None

    def settimeout(self, value: float | None, /) -> None:
        """Bound each wait to `value` seconds; None waits as long as the watch lets it."""
        self._limit_s = value
        super().settimeout(SLICE_S if value is None else min(value, SLICE_S))

    def gettimeout(self) -> float | None:
        """Return the bound of each wait in seconds."""
        return self._limit_s

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive into a buffer."""
        receive = super().recv_into
        return self._patiently(lambda: receive(*args, **kwargs))

    def send(self, *args: Any, **kwargs: Any) -> int:
        """Send as much as fits."""
        send = super().send
        return self._patiently(lambda: send(*args, **kwargs))

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send everything."""
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self.send(rest, flags) :]

    def _patiently(self, operation: Callable[[], T]) -> T:
        deadline = None if self._limit_s is None else time.monotonic() + self._limit_s
        while True:
            self.watch()
            try:
                return operation()
            except TimeoutError:
                if deadline is not None and time.monotonic() >= deadline:
                    raise


class PatientSocket(_Patient):
    """A plain socket with sliced waits; `host` is what it was connected to, by name if there was one."""

    host: str | None = None

    def splice(self, pipe: int, most: int) -> int:
        """Have the kernel move what is there into an empty pipe; returns the bytes, 0 at the end. Linux only."""

        def move() -> int:
            while True:
                try:
                    return os.splice(self.fileno(), pipe, most, flags=os.SPLICE_F_NONBLOCK)
                except BlockingIOError:
                    if not wait_for_read(self, SLICE_S):
                        raise TimeoutError("no data came") from None

        return self._patiently(move)

    def connect(self, address: Any, /) -> None:
        """Connect; raises OSError, TimeoutError if it takes longer than the timeout."""
        deadline = None if self._limit_s is None else time.monotonic() + self._limit_s
        self.setblocking(False)  # the limit of the waits stays as it is
        code = self.connect_ex(address)
        while code == EINPROGRESS:
            self.watch()
            if wait_for_write(self, SLICE_S):
                code = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            elif deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError("no connection in time")
        if code:
            raise OSError(code, os.strerror(code))
        self.settimeout(self._limit_s)


class _PatientTlsSocket(_Patient, ssl.SSLSocket):
    """A TLS socket with sliced waits."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands."""
        shake = super().do_handshake
        self._patiently(lambda: shake(block))


class PatientTls(ssl.SSLContext):
    """A TLS client context whose sockets keep the watch of the sockets they wrap."""

    sslsocket_class = _PatientTlsSocket

    def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Wrap a connected PatientSocket and shake hands."""
        if isinstance(sock, PatientSocket) and not kwargs.get("server_hostname"):
            kwargs["server_hostname"] = sock.host  # urllib3 before 2 names no address
        wrapped = super().wrap_socket(sock, *args, **kwargs | {"do_handshake_on_connect": False})
        if isinstance(sock, _Patient) and isinstance(wrapped, _Patient):
            wrapped.watch = sock.watch
        try:
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped


def resolve(host: str, port: int, *, timeout_s: float | None, watch: Watch) -> Sequence[Candidate]:
    """Return the addresses of a host, IPv4 or IPv6, numeric spellings included.

    The system's resolver cannot be interrupted, so it works in a thread that is left behind when the watch ends the
    wait; it gives up by its own timeouts. Raises socket.gaierror, UnicodeError, TimeoutError.
    """
    answer: Future[Sequence[Candidate]] = Future()
    Thread(target=_look_up, args=(answer, host, port), name="resolve", daemon=True).start()
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        watch()
        try:
            return answer.result(timeout=SLICE_S)
        except TimeoutError:
            if deadline is not None and time.monotonic() >= deadline:
                raise


def _look_up(answer: "Future[Sequence[Candidate]]", host: str, port: int) -> None:
    try:
        answer.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        answer.set_exception(error)
