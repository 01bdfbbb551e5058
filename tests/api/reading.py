"""Reading an event stream as EventSource does, in a thread, so that a test can wait for what comes."""

import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.waiting import eventually


@dataclass
class Heard:
    """One event: its fields, and its data parsed."""

    id: str = ""
    name: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class Reader:
    """A client of the stream."""

    def __init__(self, url: str, *, headers: dict[str, str] | None = None, **params: str) -> None:
        self.events: list[Heard] = []
        self.comments: list[str] = []
        self.retry = ""
        self.is_over = False
        where = urlsplit(url)
        self._connection = HTTPConnection(str(where.hostname), where.port, timeout=60)
        self._connection.request("GET", f"/api/events?{urlencode(params)}", headers=headers or {})
        self._socket = self._connection.sock
        self.response = self._connection.getresponse()
        assert self.response.status == 200, self.response.read()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        eventually(lambda: self.comments)

    def named(self, *names: str) -> list[Heard]:
        """The events that the JSON gives one of these names."""
        return [event for event in self.events if event.data["event"] in names]

    def told(self, job_id: str) -> list[str]:
        """What was told of a job, in order."""
        return [event.data["event"] for event in self.events if event.data.get("jobId") == job_id]

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self.response.close()
        self._connection.close()
        self._socket.close()

    def _read(self) -> None:
        event, data = Heard(), ""
        try:
            while raw := self.response.readline():
                line = raw.decode().removesuffix("\n")
                name, _, value = line.partition(": ")
                if not line and data:
                    event.data = json.loads(data)
                    self.events.append(event)
                    event, data = Heard(), ""
                elif line.startswith(":"):
                    self.comments.append(line)
                elif name == "data":
                    data += value
                elif name == "id":
                    event.id = value
                elif name == "event":
                    event.name = value
                elif name == "retry":
                    self.retry = value
        except (OSError, HTTPException):
            return
        finally:
            self.is_over = True
