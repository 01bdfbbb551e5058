"""The way out of a browser: a forward proxy on loopback, one a visit, that connects through the platform's guard.

The browser resolves nothing and reaches nothing but this; each host is resolved and checked here, and the connection
goes to the very address that was checked. It ends with its visit, with every connection it holds.
"""

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Self

from workers._browser_heads import BadHeadError, RequestHead, closing, read_head
from workplatform.errors import JobError, UrlForbiddenError
from workplatform.urls import plain_name

Connect = Callable[..., socket.socket]

_CONNECT_WITHIN: Final = timedelta(seconds=10)
_CHUNK_BYTES: Final = 65536
_IDLE_S: Final = 120.0
_MOST_CONNECTIONS: Final = 100
_ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


class GuardedProxy:
    """A proxy for one visit; a context manager. `connect` is that of the job's context.

    `refusals` says which hosts it has refused, `failures` why others could not be reached.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._is_closed = False
        self.refusals: dict[str, UrlForbiddenError] = {}
        self.failures: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Listen on a free port of loopback."""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, name="browser_proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening, and cut every connection."""
        with self._lock:
            self._is_closed = True
            held, self._open = self._open, set()
        for sock in (self._server, *held):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if not self._hold(client):
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), name="browser_proxy", daemon=True).start()

    def _hold(self, sock: socket.socket) -> bool:
        """Note a connection that must end with the visit; False if it comes too late or there are too many."""
        with self._lock:
            if self._is_closed or len(self._open) >= 2 * _MOST_CONNECTIONS:
                return False
            self._open.add(sock)
            return True

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                client.settimeout(_IDLE_S)
                self._forward(client)
            except BadHeadError as error:
                _refuse(client, "400 Bad Request", str(error))
            except OSError:  # either side went away, or the visit ended
                pass
            finally:
                self._let_go(client)

    def _forward(self, client: socket.socket) -> None:
        head, rest = read_head(client)
        request = RequestHead.parse(head)
        server = self._reach(client, request.host, request.port)
        if server is None:
            return
        with server:
            try:
                server.settimeout(_IDLE_S)
                if request.is_tunnel:
                    client.sendall(_ESTABLISHED)
                    server.sendall(rest)
                    _relay(client, server, sent=None)
                    return
                server.sendall(request.for_the_server() + rest[: request.body_bytes])
                _answer(client, server, left=request.body_bytes - len(rest))
            finally:
                self._let_go(server)

    def _reach(self, client: socket.socket, host: str, port: int) -> socket.socket | None:
        name = plain_name(host)
        try:
            server = self._connect(host, port, within=_CONNECT_WITHIN)
        except UrlForbiddenError as error:
            self.refusals[name] = error
            _refuse(client, "403 Forbidden", error.message)
            return None
        except (OSError, UnicodeError) as error:
            self.failures[name] = getattr(error, "strerror", None) or "no connection"
            _refuse(client, "502 Bad Gateway", f"{name} cannot be reached: {self.failures[name]}")
            return None
        except JobError:  # the attempt has to end; its own thread learns it too
            return None
        if not self._hold(server):
            server.close()
            return None
        return server

    def _let_go(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.discard(sock)


def _answer(client: socket.socket, server: socket.socket, *, left: int) -> None:
    """Pass on what is left of the request's body, and the answer, saying in it that the connection closes.

    A client that believed otherwise would send its next request, perhaps for another host, to this server.
    """
    _relay(client, server, sent=left, answer=_Answer())


@dataclass(slots=True)
class _Answer:
    """Holds an answer's head back until it is whole and says that the connection closes."""

    held: bytes = b""
    is_through: bool = False
    parts: list[bytes] = field(default_factory=list)

    def feed(self, data: bytes) -> bytes:
        """Take what came from the server; return what may go to the client."""
        if self.is_through:
            return data
        self.held += data
        out = b""
        while not self.is_through and (changed := closing(self.held)) is not None:
            passed, self.held, self.is_through = changed
            out += passed
        if self.is_through:
            out, self.held = out + self.held, b""
        return out


def _relay(client: socket.socket, server: socket.socket, *, sent: int | None, answer: _Answer | None = None) -> None:
    """Pass bytes both ways until the server is done; `sent` bounds what the client may still send."""
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ)
        selector.register(server, selectors.EVENT_READ)
        while ready := selector.select(_IDLE_S):
            for key, _ in ready:
                data = _received(key.fileobj)
                if key.fileobj is server:
                    if not data:
                        client.sendall(answer.held if answer else b"")
                        return
                    client.sendall(answer.feed(data) if answer else data)
                    continue
                if not data or (sent is not None and len(data) > sent):
                    return
                sent = None if sent is None else sent - len(data)
                server.sendall(data)


def _received(sock: Any) -> bytes:
    data: bytes = sock.recv(_CHUNK_BYTES)
    return data


def _refuse(client: socket.socket, status: str, reason: str) -> None:
    body = f"{reason}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with suppress(OSError):
        client.sendall(head.encode() + body)
