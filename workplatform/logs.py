"""The logs of a process: an event name and fields, as a line for a person or as JSON."""

import logging
import os
import sys
from collections.abc import Mapping
from typing import Protocol

import structlog
from structlog.typing import Processor

from workplatform.settings import Settings


class LogStream(Protocol):
    """Where log lines go."""

    def write(self, text: str, /) -> object:
        """Write whole lines."""

    def flush(self) -> None:
        """Hand over what is buffered."""

    def isatty(self) -> bool:
        """Whether a person looks at it."""


def is_console(settings: Settings, stream: LogStream) -> bool:
    """Whether lines on this stream are for a person (else they are JSON)."""
    return stream.isatty() if settings.log_format == "auto" else settings.log_format == "console"


def is_coloured(stream: LogStream, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to colour this stream: NO_COLOR (no-color.org) wins, then FORCE_COLOR, then being a terminal."""
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or stream.isatty()


def configure(settings: Settings, role: str, stream: LogStream | None = None) -> None:
    """Send this process's logs, and those of the libraries it uses, to `stream` (standard output).

    In JSON every line carries the role; for a person the supervisor's prefix says it.
    """
    out = sys.stdout if stream is None else stream
    console = is_console(settings, out)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
    ]
    ending: list[Processor]
    if console:
        # plain tracebacks: the decorated ones show local variables, and those hold secrets
        ending = [
            structlog.dev.ConsoleRenderer(
                colors=is_coloured(out),
                pad_event_to=0,
                pad_level=False,
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    else:
        shared.append(_Stamp(role))
        ending = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    level = settings.log_level.upper()
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )


class _Stamp:
    """A processor that adds the role to each line."""

    def __init__(self, role: str) -> None:
        self._role = role

    def __call__(self, _logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.setdefault("role", self._role)
        return event
