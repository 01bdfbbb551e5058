"""Talks to Redis: sockets of their own for the scripts, a client for plain reads."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import hiredis
import redis
from redis.connection import AbstractConnection

from workplatform.clock import CLOCK
from workplatform.errors import StoreUnavailableError
from workplatform.store.durability import Keeping, keeping
from workplatform.store.library import is_unknown, library
from workplatform.store.refusals import why_not_now

Word = str | bytes | int | float

_PAUSE_S: Final = 0.1
# What a caller is told to have happened.
_TOLD: Final = frozenset(
    {
        "abort_retry",
        "begin_group_work",
        "begin_retry",
        "cancel",
        "create_flow",
        "drop_schedule",
        "fire",
        "pause",
        "put_limit",
        "put_schedule",
        "reach_disk",
        "resend",
        "retry",
        "retry_flow",
        "submit",
        "submit_once",
    }
)
_WAITAOF: Final[tuple[Any, ...]] = ("WAITAOF", 1, 0, 1400)
_WAIT_FOR_DISK: Final = hiredis.pack_command(_WAITAOF)
_LONGEST_CONNECT_S: Final = 3.0


class Connector:
    """Makes connections to one Redis; nothing connects before it is used.

    `url` is redis://, rediss:// or unix://. Calls time out after `patience_s` and report StoreUnavailableError.
    """

    def __init__(self, url: str, *, patience_s: float = 5.0) -> None:
        self._pool = redis.ConnectionPool.from_url(
            url,
            socket_timeout=patience_s,
            socket_connect_timeout=min(patience_s, _LONGEST_CONNECT_S),
            max_connections=1000,
            client_name="workplatform",
        )
        self.client = redis.Redis(connection_pool=self._pool)

    def connect(self) -> AbstractConnection:
        """Open a connection that belongs to the caller, and learn the moment by it."""
        connection = self._pool.get_connection()
        try:
            connection.send_command("TIME")
            seconds, microseconds = connection.read_response()
        except BaseException:
            self.discard(connection)
            raise
        CLOCK.learn(int(seconds) * 1000 + int(microseconds) // 1000)
        return connection

    def discard(self, connection: AbstractConnection) -> None:
        """Close a connection that broke, and let the pool open another one in its place."""
        connection.disconnect()
        self._pool.release(connection)  # type: ignore[arg-type] # narrower than what get_connection gives

    def read(self, call: Callable[[redis.Redis], Any]) -> Any:
        """Run plain commands; raises StoreUnavailableError if Redis does not answer."""
        try:
            return call(self.client)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise StoreUnavailableError(f"Redis does not answer: {error}") from error

    def close(self) -> None:
        """Close every connection."""
        self._pool.disconnect()


class Scripts:
    """The Lua scripts of `lua/`, called by name. Safe to use from many threads: a call has its socket for itself.

    Redis is given them at the first call that it does not know.
    Where they are to be durable, what a caller is told of is on Redis's disk before, if Redis can tell.
    A socket goes back when the call is over. It does not belong to a thread: the API's greenlets, which are threads to
    Python, come and go with every client, and each would leave one behind.
    """

    def __init__(self, connector: Connector, *, prefix: str, is_durable: bool = False) -> None:
        self._connector = connector
        self._is_durable = is_durable
        self._keeping: Keeping | None = None
        self._idle: list[AbstractConnection] = []
        self._library = library(prefix)

    def __call__(self, name: str, *words: Word) -> Any:
        """Run a script once; raises StoreUnavailableError if Redis does not answer.

        After that error nobody knows whether the script ran.
        """
        return self.run(name, *words, is_awaited=self._is_durable and name in _TOLD and self._waits_for_disk())

    def run(self, name: str, *words: Word, is_awaited: bool = False) -> Any:
        """Run a script once; `is_awaited`: return when it is on Redis's disk. Raises as a call does."""
        try:
            return self._evaluate(name, words, is_awaited=is_awaited)
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            raise StoreUnavailableError(f"Redis does not answer: {error}") from error
        except redis.exceptions.ResponseError as error:
            if (reason := why_not_now(error)) is not None:
                raise StoreUnavailableError(reason) from error
            raise

    def persist(self, name: str, *words: Word, patience_s: float) -> Any:
        """Run a script that may safely run twice, trying again for `patience_s` seconds while Redis is away."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return self(name, *words)
            except StoreUnavailableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)

    def _evaluate(self, name: str, words: tuple[Word, ...], *, is_awaited: bool) -> Any:
        try:
            return self._ask(self._call(name, words), is_awaited=is_awaited)
        except redis.ResponseError as error:
            if not is_unknown(error):
                raise
        self._ask(("FUNCTION", "LOAD", "REPLACE", self._library.code))
        return self._ask(self._call(name, words), is_awaited=is_awaited)

    def _call(self, name: str, words: tuple[Word, ...]) -> tuple[Any, ...]:
        return ("FCALL", self._library.function(name), 0, *words)

    def begin(self, name: str, *words: Word) -> Callable[[], Any]:
        """Send a script's call without waiting; the function returned waits for the answer, once, in any thread.

        That function raises StoreUnavailableError, or ResponseError where the server has not loaded the library.
        """
        try:
            connection = self._send([hiredis.pack_command(self._call(name, words))])
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            raise StoreUnavailableError(f"Redis does not answer: {error}") from error
        return partial(self._receive, connection)

    def _ask(self, command: tuple[Any, ...], *, is_awaited: bool = False) -> Any:
        connection = self._send([hiredis.pack_command(command)])
        if not is_awaited:
            return self._receive(connection)
        answer = self._read(connection)
        connection.send_packed_command([_WAIT_FOR_DISK], check_health=False)
        written, _ = self._receive(connection)
        if not written:
            raise StoreUnavailableError("Redis has not brought it to its disk in time; it may still do so")
        return answer

    def _waits_for_disk(self) -> bool:
        if self._keeping is None:
            self._keeping = self._connector.read(keeping)
        return self._keeping is Keeping.ON_REQUEST

    def _receive(self, connection: AbstractConnection) -> Any:
        answer = self._read(connection)
        self._idle.append(connection)
        return answer

    def _read(self, connection: AbstractConnection) -> Any:
        try:
            return connection.read_response()
        except redis.exceptions.ResponseError:
            self._idle.append(connection)
            raise
        except BaseException:  # whatever broke off the call: an answer may still be on its way
            self._connector.discard(connection)
            raise

    def _send(self, packed: list[bytes]) -> AbstractConnection:
        """Send a command over an idle socket, or over a new one if the server has closed those."""
        while True:
            connection, is_new = self._borrow()
            try:
                connection.send_packed_command(packed, check_health=False)
            except BaseException as error:
                self._connector.discard(connection)
                # The server cannot have read the whole command, so it did not run and may be sent again.
                if is_new or not isinstance(error, (redis.ConnectionError, OSError)):
                    raise
            else:
                return connection

    def _borrow(self) -> tuple[AbstractConnection, bool]:
        try:
            return self._idle.pop(), False
        except IndexError:
            return self._connector.connect(), True
