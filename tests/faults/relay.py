"""A relay between a role and Redis that can hold answers back, or keep a worker deaf, while all else goes through."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_NOTHING_POPPED = b"*-1\r\n"


@dataclass
class Relay:
    """Relays TCP connections to a server's Unix socket."""

    target: Path
    listener: socket.socket
    is_deaf: bool = False
    """Whether BRPOP is answered that nothing came, without asking Redis."""
    holds: bytes = b""
    """Answers to commands with this word in them do not get through."""
    held: threading.Event = field(default_factory=threading.Event)
    popped: int = 0
    _sockets: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where a role finds Redis."""
        host, port = self.listener.getsockname()
        return f"redis://{host}:{port}"

    def serve(self) -> None:
        """Relay until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.target))
                self._sockets += [client, server]
                gate = _Gate()
                threading.Thread(target=self._up, args=(client, server, gate), daemon=True).start()
                threading.Thread(target=self._down, args=(server, client, gate), daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        for sock in (self.listener, *self._sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _up(self, client: socket.socket, server: socket.socket, gate: "_Gate") -> None:
        with suppress(OSError):
            while data := client.recv(1 << 20):
                if b"BRPOP" in data:
                    self.popped += 1
                    if self.is_deaf:
                        gate.nobody_knocks.wait(0.5)
                        client.sendall(_NOTHING_POPPED)
                        continue
                if self.holds and self.holds in data:
                    gate.is_shut.set()
                server.sendall(data)
        _end(client, server)

    def _down(self, server: socket.socket, client: socket.socket, gate: "_Gate") -> None:
        with suppress(OSError):
            while data := server.recv(1 << 20):
                if gate.is_shut.is_set():
                    self.held.set()
                    continue
                client.sendall(data)
        _end(client, server)


@dataclass
class _Gate:
    """One connection's state."""

    is_shut: threading.Event = field(default_factory=threading.Event)
    nobody_knocks: threading.Event = field(default_factory=threading.Event)


def _end(*sockets: socket.socket) -> None:
    for sock in sockets:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def relaying(target: Path, *, host: str = "127.0.0.1") -> Iterator[Relay]:
    """Run a relay for the length of a `with` block."""
    listener = socket.create_server((host, 0))
    relay = Relay(target, listener)
    thread = threading.Thread(target=relay.serve, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join()
