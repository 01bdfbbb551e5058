"""Children: crashes, hangs and foreign errors stay in them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil
import pytest

from tests.waiting import eventually
from workplatform.children import ChildPool
from workplatform.context import Completed
from workplatform.errors import BadInputError, Cancelled, ChildCrashedError, CommandFailedError, JobError


def never() -> None:
    """Never ask to stop."""


class AtOnce:
    """Asks to stop from the given look on."""

    def __init__(self, looks: int) -> None:
        self._left = looks

    def __call__(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Cancelled


def double(number: int, *, plus: int = 0) -> int:
    return 2 * number + plus


def refuse() -> None:
    raise BadInputError("not this", field="x")


def stumble() -> None:
    raise ZeroDivisionError("oops")


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def unpicklable() -> object:
    return lambda: None


def count_for_hours(pid_file: str) -> None:
    """Tell who does it, then be busy in native code, which no Python signal handler can interrupt."""
    Path(pid_file).write_text(str(os.getpid()))
    sum(range(10**13))


def count_down(start: int) -> Generator[int, None, int]:
    """Yield every number down to one; return the sum."""
    yield from range(start, 0, -1)
    return sum(range(start + 1))


def count_then_refuse() -> Generator[int, None, None]:
    yield 1
    raise BadInputError("not this")


def count_then_hang(pid_file: str) -> Generator[int, None, None]:
    yield 1
    count_for_hours(pid_file)


_WORKER = """
import sys
from tests.test_children import count_for_hours, count_then_hang, never
from workplatform.children import ChildPool
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[ChildPool]:
    pool = ChildPool(preload=())
    yield pool
    pool.close()


def run(pool: ChildPool, *words: str, looks: int = 10**6) -> tuple[Completed, list[str]]:
    lines: list[str] = []
    ended = pool.run(
        words, check=AtOnce(looks), on_stdout=lines.append, on_stderr=None, cwd=None, env={"EXTRA": "given"}
    )
    return ended, lines


def test_a_call_gives_the_functions_result(pool: ChildPool) -> None:
    assert pool.call(double, never, 4, plus=1) == 9


def test_a_child_serves_many_calls(pool: ChildPool) -> None:
    assert len({pool.call(os.getpid, never) for _ in range(5)}) == 1


def test_our_errors_come_back_as_they_are(pool: ChildPool) -> None:
    with pytest.raises(BadInputError, match="not this") as caught:
        pool.call(refuse, never)
    assert caught.value.data == {"field": "x"}


def test_foreign_errors_become_a_sentence(pool: ChildPool) -> None:
    with pytest.raises(JobError, match="ZeroDivisionError: oops"):
        pool.call(stumble, never)
    with pytest.raises(JobError, match="cannot be sent"):
        pool.call(unpicklable, never)


def test_a_crash_ends_the_child_and_not_us(pool: ChildPool) -> None:
    before = pool.call(os.getpid, never)
    with pytest.raises(ChildCrashedError, match="SIGSEGV"):
        pool.call(crash, never)
    assert pool.call(os.getpid, never) != before


def test_a_hanging_call_ends_when_it_is_told_to(pool: ChildPool) -> None:
    child = pool.call(os.getpid, never)
    with pytest.raises(Cancelled):
        pool.call(time.sleep, AtOnce(1), 600)
    eventually(lambda: not psutil.pid_exists(child))


def test_reports_of_a_generator_come_before_its_result(pool: ChildPool) -> None:
    told: list[int] = []
    assert pool.follow(count_down, never, told.append, 400) == 80200
    assert told == list(range(400, 0, -1))


def test_reports_come_before_an_error_too(pool: ChildPool) -> None:
    told: list[int] = []
    with pytest.raises(BadInputError, match="not this"):
        pool.follow(count_then_refuse, never, told.append)
    assert told == [1]


def test_a_generator_that_hangs_ends_when_it_is_told_to(pool: ChildPool, tmp_path: Path) -> None:
    file = tmp_path / "pid"

    def stop_once_it_hangs() -> None:
        if file.exists() and file.read_text():
            raise Cancelled

    with pytest.raises(Cancelled):
        pool.follow(count_then_hang, stop_once_it_hangs, print, str(file))
    eventually(lambda: not psutil.pid_exists(int(file.read_text())))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells of the pipe's end on Linux")
@pytest.mark.parametrize("call", ["call(count_for_hours, never", "follow(count_then_hang, never, print"])
def test_a_call_does_not_outlive_a_worker_that_is_killed(tmp_path: Path, call: str) -> None:
    told = tmp_path / "pid"
    code = f"{_WORKER}ChildPool(preload=()).{call}, sys.argv[1])"
    worker = subprocess.Popen([sys.executable, "-c", code, str(told)], cwd=Path(__file__).parents[1])
    pid = int(eventually(lambda: told.exists() and told.read_text()))
    worker.kill()
    worker.wait()
    eventually(lambda: not psutil.pid_exists(pid))


def test_a_program_gets_a_clean_environment_and_its_lines_come_back(
    pool: ChildPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    ended, lines = run(pool, "sh", "-c", "env; echo oops >&2; exit 3")
    assert (ended.returncode, ended.stderr_tail) == (3, ("oops",))
    assert "EXTRA=given" in lines
    assert not [line for line in lines if "secret" in line]


def test_a_cancelled_program_ends_with_everything_it_started(pool: ChildPool) -> None:
    with pytest.raises(Cancelled):
        run(pool, "sh", "-c", "sleep 4321 & sleep 4321", looks=2)
    eventually(lambda: not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "4321"]])


def test_what_a_program_leaves_behind_ends_with_it(pool: ChildPool) -> None:
    ended, _ = run(pool, "sh", "-c", "sleep 4322 & exit 0")
    assert ended.returncode == 0
    eventually(lambda: not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "4322"]])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody inherits orphans")
def test_what_a_program_leaves_in_a_session_of_its_own_ends_with_it(pool: ChildPool) -> None:
    _, lines = run(pool, "sh", "-c", "setsid -f sh -c 'echo $$; exec >&- 2>&-; sleep 4323 & sleep 4323'")
    assert not psutil.pid_exists(int(lines[0]))
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "4323"]]


def test_a_program_that_is_not_there_is_named(pool: ChildPool) -> None:
    with pytest.raises(CommandFailedError, match="no-such-program"):
        run(pool, "no-such-program")
