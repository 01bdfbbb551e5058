"""A network between the command line and the platform that breaks connections after so many bytes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Breaking:
    """A relay. `up` and `down` hold how many bytes each of the coming connections may carry; after them, any."""

    port: int
    target: int
    up: list[int] = field(default_factory=list)
    down: list[int] = field(default_factory=list)
    broken: int = 0
    _ends: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the command line finds the platform."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self, listener: socket.socket) -> None:
        """Relay until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                for source, sink, limits in ((client, server, self.up), (server, client, self.down)):
                    thread = threading.Thread(target=self._relay, args=(source, sink, limits))
                    thread.start()
                    self._threads.append(thread)
                self._ends += [client, server]

    def close(self) -> None:
        """Close every connection."""
        for end in self._ends:
            _hang_up(end)
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()

    def _relay(self, source: socket.socket, sink: socket.socket, limits: list[int]) -> None:
        carried = 0
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
                carried += len(data)
                if limits and carried > limits[0]:
                    limits.pop(0)
                    self.broken += 1
                    break
        for end in (source, sink):
            _hang_up(end)


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def breaking(target: int) -> Iterator[Breaking]:
    """Relay to a port of this machine for the length of a `with` block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Breaking(listener.getsockname()[1], target)
        thread = threading.Thread(target=relay.serve, args=(listener,))
        thread.start()
        yield relay
        _hang_up(listener)
        thread.join()
        relay.close()
