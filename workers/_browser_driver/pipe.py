"""Pyppeteer's connection over the browser's pipes: no debugging port that a page or another user could find."""

import asyncio
import os
from typing import Any

from pyppeteer.connection import Connection

_LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024
_END = b"\0"


class PipeConnection(Connection):
    """The DevTools connection of one browser; messages end with a zero byte."""

    def __init__(self, commands: int, events: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__("ws://localhost", loop)  # the socket is never opened: ours takes its place
        self._ws = _Pipes(commands, events, loop)

    async def _on_message(self, message: str) -> None:
        """Take a message; pyppeteer would end the connection over an answer to somebody who was cancelled meanwhile."""
        try:
            await super()._on_message(message)
        except Exception:  # noqa: BLE001 - what goes wrong with one visit's message must not end the others' browser
            return


class _Pipes:
    """What pyppeteer needs of a web socket."""

    def __init__(self, commands: int, events: int, loop: asyncio.AbstractEventLoop) -> None:
        self._commands = commands
        self._events = events
        self._loop = loop
        self._reader = asyncio.StreamReader(limit=_LARGEST_MESSAGE_BYTES, loop=loop)
        self._transports: list[asyncio.BaseTransport] = []

    async def __aenter__(self) -> "_Pipes":
        """Open both pipes."""
        events, _ = await self._loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), os.fdopen(self._events, "rb", 0)
        )
        self._writer, _ = await self._loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(self._commands, "wb", 0))
        self._transports = [events, self._writer]
        return self

    async def __aexit__(self, *_: Any) -> None:
        """Close both pipes."""
        await self.close()

    async def recv(self) -> str:
        """Return the next message; raises ConnectionResetError when the browser is gone."""
        try:
            message = await self._reader.readuntil(_END)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ConnectionResetError("the browser is gone") from error
        return message[:-1].decode("utf-8", "replace")

    async def send(self, message: str) -> None:
        """Send a message."""
        self._writer.write(message.encode() + _END)

    async def close(self) -> None:
        """Close both pipes."""
        for transport in self._transports:
            transport.close()
