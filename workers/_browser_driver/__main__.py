"""The driver's loop: reads orders, visits pages, tells the outcome, and ends with everything when its worker is gone.

The worker holds the other end of standard input. When that closes, for whatever reason, the browser and all that it
started are killed and the profile is removed.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

try:
    from pyppeteer.browser import Browser
except ImportError as error:
    sys.stdout.write(json.dumps({"missing": str(error)}) + "\n")
    sys.exit(0)

from . import chromium
from .orders import Order, Told
from .pages import Visitor
from .pipe import PipeConnection

_START_S = 30.0


class Driver:
    """Serves one worker with one browser."""

    def __init__(self, program: str, folder: Path, *, idle_s: float) -> None:
        self._program = program
        self._folder = folder
        self._idle_s = idle_s
        self._visits: dict[str, asyncio.Task[None]] = {}
        self._has_ended = asyncio.Event()

    async def run(self) -> None:
        """Serve until the worker closes the pipe, the browser ends, or nothing was asked for so long."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._has_ended.set)
        orders = asyncio.StreamReader(limit=16 * 1024 * 1024)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin.buffer)
        profile = chromium.claim_profile(self._folder)
        try:
            await self._serve(chromium.start(self._program, profile), orders)
        finally:
            chromium.end_all()
            shutil.rmtree(profile.path, ignore_errors=True)
            os._exit(0)  # visits that are on would wait for answers of a browser that is gone

    async def _serve(self, started: chromium.Chromium, orders: asyncio.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap, started.pid)
        ended = asyncio.ensure_future(self._has_ended.wait())
        opening = asyncio.ensure_future(self._open(started))
        await asyncio.wait({opening, ended}, timeout=_START_S, return_when=asyncio.FIRST_COMPLETED)
        if not opening.done() or opening.exception() is not None:
            _tell({"broken": started.last_words()})
            return
        visitor = opening.result()
        _tell({"ready": os.getpid()})
        reading = asyncio.ensure_future(self._obey(orders, visitor))
        await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)

    async def _open(self, started: chromium.Chromium) -> Visitor:
        connection = PipeConnection(started.commands, started.events, asyncio.get_running_loop())
        browser = await Browser.create(connection, [], False, None)
        await connection.send("Browser.getVersion")
        return Visitor(browser)

    async def _obey(self, orders: asyncio.StreamReader, visitor: Visitor) -> None:
        while True:
            try:
                line = await asyncio.wait_for(orders.readline(), self._idle_s)
            except TimeoutError:
                if self._visits:
                    continue
                return
            if not line:
                return
            asked = json.loads(line)
            if "close" in asked:
                self._close(asked["close"])
            else:
                order = Order.read(asked)
                self._visits[order.id] = asyncio.ensure_future(self._visit(visitor, order))

    async def _visit(self, visitor: Visitor, order: Order) -> None:
        try:
            told = await visitor.visit(order)
        except asyncio.CancelledError:
            return
        except Exception as error:  # noqa: BLE001 - the edge: the worker makes an error of it
            told = Told(order.id, order.url, failure=f"the browser failed: {error}")
        finally:
            self._visits.pop(order.id, None)
        _tell(asdict(told))

    def _close(self, visit: str) -> None:
        if task := self._visits.get(visit):
            task.cancel()

    def _reap(self, browser: int) -> None:
        if browser in list(chromium.reap()):
            self._has_ended.set()


def _tell(what: dict[str, Any]) -> None:
    try:
        os.write(1, json.dumps(what).encode() + b"\n")
    except BrokenPipeError:
        return  # the worker is gone, and standard input says so too


def main() -> None:
    """Run the driver: arguments are the browser's program, the folder of the profiles, and the idle seconds."""
    program, folder, idle_s = sys.argv[1:4]
    chromium.become_guardian()
    asyncio.run(Driver(program, Path(folder), idle_s=float(idle_s)).run())


main()
