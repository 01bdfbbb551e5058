"""The nursery: forked where that is safe, fresh where it is not, replaced when it was killed, gone with its maker."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.waiting import eventually
from workplatform.child import Call, Returned
from workplatform.children import ChildPool
from workplatform.errors import ChildCrashedError
from workplatform.nursery import nursery_of

_MAKER = """
import os, socket, sys, threading
from workplatform.child import Call, Returned
from workplatform.children import ChildPool

listener = socket.create_server(("127.0.0.1", 0))
if sys.argv[1] == "threads":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
pool = ChildPool(preload=("fractions",))
nursery = pool.call(os.getppid, lambda: None)
port = listener.getsockname()[1]
listener.close()
print(nursery, port, flush=True)
sys.stdin.read()
"""


def never() -> None:
    """Never ask to stop."""


@contextmanager
def maker(kind: str) -> Iterator[tuple["subprocess.Popen[str]", psutil.Process, int]]:
    """Run a process with a nursery: give it, the nursery, and a port that it listened on when it made that."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MAKER, kind],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        pid, port = map(int, process.stdout.readline().split())
        yield process, psutil.Process(pid), port
        process.kill()


@pytest.mark.parametrize(("kind", "is_fork"), [("alone", True), ("threads", False)])
def test_a_nursery_is_forked_only_from_a_process_with_one_thread(kind: str, is_fork: bool) -> None:
    with maker(kind) as (process, nursery, _):
        assert (nursery.cmdline() == psutil.Process(process.pid).cmdline()) is is_fork


@pytest.mark.parametrize("kind", ["alone", "threads"])
def test_a_nursery_ends_when_its_maker_is_killed(kind: str) -> None:
    with maker(kind) as (process, nursery, _):
        process.kill()
        eventually(lambda: not nursery.is_running())


@pytest.mark.parametrize("kind", ["alone", "threads"])
def test_a_nursery_keeps_nothing_open_that_its_maker_has_closed(kind: str) -> None:
    with maker(kind) as (_, _, port), socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


def test_a_nursery_that_was_killed_costs_a_call_and_is_replaced() -> None:
    pool = ChildPool(preload=())
    nursery = pool.call(os.getppid, never)
    os.kill(nursery, signal.SIGKILL)
    eventually(lambda: psutil.Process(nursery).status() == psutil.STATUS_ZOMBIE)
    with pytest.raises(ChildCrashedError):
        pool.call(os.getpid, never)
    assert pool.call(os.getppid, never) != nursery
    assert not psutil.pid_exists(nursery)
    pool.close()


def test_what_a_child_writes_is_not_lost_where_its_makers_streams_went_elsewhere(tmp_path: Path) -> None:
    source = f"""
import os, sys
from workplatform.child import Call, Returned
from workplatform.children import ChildPool

sys.stderr = open({str(tmp_path / "elsewhere")!r}, "w")
ChildPool(preload=("fractions",)).call(exec, lambda: None, "import sys; print('said', file=sys.stderr)")
"""
    ended = subprocess.run(
        [sys.executable, "-c", source], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert ended.stderr == "said\n"


def test_what_comes_during_a_call_waits_for_its_end() -> None:
    nurseling = nursery_of(os.getpid(), ()).bear()
    try:
        for seconds in (0.3, 0.0):
            nurseling.connection.send(Call(time.sleep, (seconds,), {}))
        answers = [nurseling.connection.recv() for _ in range(2)]
    finally:
        nurseling.close()
    assert [answer.outcome for answer in answers] == [Returned(None)] * 2
