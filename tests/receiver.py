"""A real HTTP receiver on a loopback port that misbehaves as told, byte by byte."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

CERTIFICATES = Path(__file__).parent / "certificates"

_DRIP_S = 0.02


@dataclass(slots=True)
class Request:
    """What a client sent."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Receiver:
    """The server's side: where it is, what came, and when it must end."""

    host: str
    port: int
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    is_held: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Its address as a plain URL."""
        return f"http://{self.host}:{self.port}"

    def read(self, connection: socket.socket) -> Request:
        """Read one request and note it."""
        with connection.makefile("rb") as stream:
            line = stream.readline().decode().strip()
            headers: dict[str, str] = {}
            while raw := stream.readline().decode("latin-1").strip():
                name, _, value = raw.partition(": ")
                headers[name.lower()] = value
            request = Request(line, headers, stream.read(int(headers.get("content-length", 0))))
        self.requests.append(request)
        return request

    def hold(self) -> None:
        """Do nothing until the test is over."""
        self.is_held.set()
        self.closing.wait()

    def drip(self, connection: socket.socket, drop: bytes) -> None:
        """Send a drop again and again until the client goes away."""
        self.is_held.set()
        while not self.closing.wait(_DRIP_S):
            connection.sendall(drop)


Behaviour = Callable[[Receiver, socket.socket], None]


@contextmanager
def receiving(behave: Behaviour, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[Receiver]:
    """Serve each connection by `behave`, in threads that end with the block."""
    server = socket.create_server((host, port))
    receiver = Receiver(host, server.getsockname()[1])
    acceptor = threading.Thread(target=_accept, args=(server, receiver, behave))
    acceptor.start()
    try:
        yield receiver
    finally:
        receiver.closing.set()
        server.shutdown(socket.SHUT_RDWR)
        acceptor.join()
        server.close()


def _accept(server: socket.socket, receiver: Receiver, behave: Behaviour) -> None:
    threads: list[threading.Thread] = []
    with suppress(OSError):
        while not receiver.closing.is_set():
            connection, _ = server.accept()
            receiver.connections += 1
            threads.append(threading.Thread(target=_serve, args=(connection, receiver, behave)))
            threads[-1].start()
    for thread in threads:
        thread.join()


def _serve(connection: socket.socket, receiver: Receiver, behave: Behaviour) -> None:
    # A client that ends early breaks the pipe; what it makes of the connection is the client's test.
    with connection, suppress(OSError):
        behave(receiver, connection)


def answering(status: str = "200 OK", body: bytes = b"", *headers: str) -> Behaviour:
    """Read the request and answer like a good server."""
    head = "".join(f"{line}\r\n" for line in (f"Content-Length: {len(body)}", "Connection: close", *headers))

    def behave(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)

    return behave


def dripping(head: bytes, drop: bytes) -> Behaviour:
    """Read the request, send the head of an answer, and then drop after drop for ever."""

    def behave(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(head)
        receiver.drip(connection, drop)

    return behave


def stalling(head: bytes) -> Behaviour:
    """Read the request, send the head of an answer, and nothing more."""

    def behave(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(head)
        receiver.hold()

    return behave


def deaf(receiver: Receiver, _connection: socket.socket) -> None:
    """Take the connection and read nothing."""
    receiver.hold()


def over_tls(behave: Behaviour) -> Behaviour:
    """Do the same behind the certificate of hooks.test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "hooks.test.pem")

    def secured(receiver: Receiver, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as channel:
            behave(receiver, channel)

    return secured
