"""Lanes: a few threads that move the parts of a transfer, each over its own connection; the first failure ends all."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from threading import Event, Lock
from typing import Concatenate, Final, ParamSpec, TypeVar

from workplatform.errors import StorageError
from workplatform.sockets import Watch
from workplatform.storage.s3 import S3, Lane

P = ParamSpec("P")
T = TypeVar("T")

# Each holds one part in memory at most.
LANES: Final = 3


class Lanes:
    """Work for a store done side by side, in the order in which it is given. To be closed, best by `with`."""

    def __init__(self, s3: S3, watch: Watch) -> None:
        self._s3 = s3
        self._watch = watch
        self._is_stopped = Event()
        self._failure: BaseException | None = None
        self._open = ExitStack()
        self._lock = Lock()
        self._free: SimpleQueue[Lane] = SimpleQueue()
        self._pool = ThreadPoolExecutor(LANES, thread_name_prefix="lane")

    def __enter__(self) -> "Lanes":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, work: Callable[Concatenate[Lane, P], T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Have one lane do some work soon."""
        return self._pool.submit(self._run, lambda lane: work(lane, *args, **kwargs))

    def each(self, work: Callable[[Lane, T], object], items: Iterable[T]) -> None:
        """Do the work for every item and wait for the end; raises the first failure, having stopped the rest."""
        self.wait([self.submit(work, item) for item in items])

    def wait(self, futures: Iterable["Future[T]"]) -> list[T]:
        """Return the results in order; raises the first failure, having stopped the rest."""
        try:
            return [future.result() for future in futures]
        except BaseException as error:  # noqa: BLE001 - raised again, unless it only follows from the first one
            self.close()
            raise self._failure or error from None

    def close(self) -> None:
        """Stop what still runs, forget what waits, drop the connections."""
        self._is_stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._open.close()

    def _run(self, work: Callable[[Lane], T]) -> T:
        lane = self._lane()
        try:
            return work(lane)
        except BaseException as error:
            with self._lock:
                self._failure = self._failure or error
            self._is_stopped.set()
            raise
        finally:
            self._free.put(lane)

    def _lane(self) -> Lane:
        with self._lock:
            return self._free.get() if not self._free.empty() else self._open.enter_context(self._s3.lane(self._look))

    def _look(self) -> None:
        self._watch()
        if self._is_stopped.is_set():
            raise StorageError("another part of the transfer failed")
