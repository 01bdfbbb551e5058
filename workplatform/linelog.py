"""The one log of many processes: whole lines, each with the name of its role."""

import json
from contextlib import suppress
from typing import TextIO

from workplatform.logs import is_coloured

_LONGEST_LINE = 65_536
_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_WIDTH = 10


class LineLog:
    """Writes the lines of all roles to one stream: prefixed for a person, or as JSON lines.

    In JSON a line that is JSON already passes as it is; any other text is wrapped as an event of its role.
    """

    def __init__(self, stream: TextIO, *, console: bool) -> None:
        self._stream = stream
        self._console = console
        self.isatty = stream.isatty()
        self._coloured = console and is_coloured(stream)
        self._colours: dict[str, int] = {}

    def write(self, role: str, line: str) -> None:
        """Write one line, unless it is empty. A stream that is gone is no reason to stop the platform."""
        if not line.strip():
            return
        text = self._prefixed(role, line) if self._console else _as_json(role, line)
        with suppress(OSError, ValueError):
            self._stream.write(text + "\n")
            self._stream.flush()

    def _prefixed(self, role: str, line: str) -> str:
        prefix = f"{role:<{_WIDTH}} |"
        if self._coloured:
            colour = self._colours.setdefault(role, _COLOURS[len(self._colours) % len(_COLOURS)])
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        return f"{prefix} {line}"


class LineStream:
    """A text stream for this process's own log, that ends up in a LineLog under a role's name."""

    def __init__(self, log: LineLog, role: str) -> None:
        self._log = log
        self._role = role

    def write(self, text: str) -> int:
        """Write whole lines."""
        for line in text.splitlines():
            self._log.write(self._role, line)
        return len(text)

    def flush(self) -> None:
        """Do nothing: a LineLog flushes every line."""

    def isatty(self) -> bool:
        """Whether the lines end up on a terminal."""
        return self._log.isatty


class LineCutter:
    """Cuts a byte stream into lines; what has no newline yet waits for it, up to 64 KiB."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that `data` completes."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            whole.append(self._rest)
            self._rest = b""
        return [_text(line) for line in whole]

    def end(self) -> list[str]:
        """Return the last line, if the stream ended within one."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")


def _as_json(role: str, line: str) -> str:
    if line.startswith("{"):
        with suppress(ValueError):
            json.loads(line)
            return line
    return json.dumps({"role": role, "event": line}, ensure_ascii=False)
