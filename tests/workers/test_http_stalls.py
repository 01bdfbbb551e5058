"""The http job type against receivers that hang, drip or flood: what is held up, and what ends the wait."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.receiver import Behaviour, Receiver, answering, dripping, receiving, stalling
from tests.waiting import eventually
from tests.workers.test_http import BODY, deliver
from workers.http import HttpPayload, http
from workplatform.errors import Cancelled, PlatformError, ShuttingDown
from workplatform.testing import InlineRun, inline_job
from workplatform.turns import NotYet


def stop_when(is_time: Callable[[], object], run: InlineRun, reason: PlatformError) -> threading.Thread:
    """Stop the attempt as the heart does."""

    def stop() -> None:
        eventually(is_time)
        run.pulse.stop(reason)

    thread = threading.Thread(target=stop)
    thread.start()
    return thread


@contextmanager
def attempts(url: str, root: Path, count: int) -> Iterator[list[Future[Any]]]:
    """Deliver side by side; at the end of the block those that still wait are cancelled."""
    with ThreadPoolExecutor(count) as pool, ExitStack() as stack:
        runs = [stack.enter_context(inline_job(root / f"{number}")) for number in range(count)]
        ended = [pool.submit(http, HttpPayload(url=url, body=BODY), run.job) for run in runs]
        try:
            yield ended
        finally:
            for run in runs:
                run.pulse.stop(Cancelled())
            for future in ended:
                future.exception()


def test_a_delivery_that_waits_for_its_turn_leaves_no_line_and_no_note(tmp_path: Path) -> None:
    with receiving(stalling(b"")) as dead, attempts(dead.url, tmp_path, 8), inline_job(tmp_path / "ninth") as run:
        eventually(lambda: len(dead.requests) == 8)
        with pytest.raises(NotYet):
            http(HttpPayload(url=dead.url, body=BODY), run.job)
        run.look()
    assert (run.lines, run.notes) == ([], [])


def test_a_receiver_that_hangs_holds_eight_deliveries_and_no_other_receiver(tmp_path: Path) -> None:
    with (
        receiving(stalling(b"")) as dead,
        receiving(answering()) as good,
        attempts(dead.url, tmp_path, 20) as ended,
    ):
        eventually(lambda: len(dead.requests) == 8 and sum(future.done() for future in ended) == 12)
        assert deliver(good.url, tmp_path)["status"] == 200
        assert sum(future.done() for future in ended) == 12, "the others hang as before"
        refused = [future.exception() for future in ended if future.done()]
        assert all(isinstance(error, NotYet) for error in refused)
        assert {str(error) for error in refused} == {f"{dead.url} has 8 deliveries under way already"}
    assert dead.connections == 8


STALLS: dict[str, Behaviour] = {
    "never answers": stalling(b""),
    "drips a header": dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    "drips a failure's body": dripping(b"HTTP/1.1 500 Oops\r\nContent-Length: 1000000\r\n\r\n", b"b"),
}


@pytest.mark.parametrize("behave", STALLS.values(), ids=STALLS.keys())
def test_cancelling_ends_the_wait_for_a_receiver_that(behave: Behaviour, tmp_path: Path) -> None:
    with receiving(behave) as receiver, inline_job(tmp_path) as run:
        stopper = stop_when(receiver.is_held.is_set, run, Cancelled())
        with pytest.raises(Cancelled):
            http(HttpPayload(url=receiver.url, body=BODY), run.job)
        stopper.join()


def test_what_is_delivered_is_not_sent_again_because_the_worker_stops_in_the_rest_of_the_answer(tmp_path: Path) -> None:
    behave = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"b")
    with receiving(behave) as receiver, inline_job(tmp_path) as run:
        stopper = stop_when(lambda: run.pulse.message, run, ShuttingDown())
        assert http(HttpPayload(url=receiver.url, body=BODY), run.job).status == 200
        stopper.join()


def test_an_endless_answer_is_not_read_to_its_end(tmp_path: Path) -> None:
    def flood(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        while not receiver.closing.is_set():
            connection.send(b"x" * 65536)

    with receiving(flood) as receiver:
        assert deliver(receiver.url, tmp_path)["status"] == 200
