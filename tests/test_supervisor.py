"""The supervisor with real processes: restarts, draining, hurrying, and what is left after kill -9."""

import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from tests.processes import end_all, gone
from tests.waiting import eventually
from workplatform import embedded, runlock
from workplatform.errors import SettingsError
from workplatform.settings import Settings
from workplatform.supervisor import ending, restart_delay

ROOT = Path(__file__).parent.parent


class Running:
    """A stand-in platform in a subprocess, and its log."""

    def __init__(self, data_dir: Path, roles: tuple[str, ...], env: dict[str, str]) -> None:
        self.settings = Settings(data_dir=data_dir)
        self.log_file = data_dir.parent / "log"
        self._sink = self.log_file.open("ab")
        plain = {"DATA_DIR": str(data_dir), "LOG_FORMAT": "console", "SHUTDOWN_GRACE": "30", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.stand_in", *roles],
            cwd=data_dir.parent,
            env={**os.environ, **plain, **env},
            stdin=subprocess.DEVNULL,
            stdout=self._sink,
            stderr=self._sink,
            start_new_session=True,
        )

    @property
    def text(self) -> str:
        """The log so far."""
        return self.log_file.read_text()

    def says(self, pattern: str, *, times: int = 1) -> re.Match[str]:
        """Wait until the log matches the pattern `times` times; returns the last match."""
        return eventually(lambda: [*re.finditer(pattern, self.text)][times - 1 :])[-1]

    def everyone(self) -> list[psutil.Process]:
        """All processes below the supervisor."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> None:
        """End whatever is left."""
        end_all(self.process)
        self._sink.close()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts stand-in platforms on one data directory."""
    started: list[Running] = []

    def start(*roles: str, **env: str) -> Running:
        started.append(Running(tmp_path / "data", roles, env))
        return started[-1]

    yield start
    for running in started:
        running.close()


def test_the_delay_before_a_restart_doubles_up_to_half_a_minute() -> None:
    waits = [restart_delay(deaths) for deaths in (1, 2, 3, 6, 7, 8, 1000)]
    assert waits == [timedelta(seconds=s) for s in (0.5, 1, 2, 16, 30, 30, 30)]


@pytest.mark.parametrize(
    ("status", "sentence"), [(3 << 8, "exit code 3"), (9, "killed by SIGKILL"), (40, "killed by signal 40")]
)
def test_an_ending_is_told_in_words(status: int, sentence: str) -> None:
    assert ending(status) == sentence


def test_a_role_killed_with_9_is_started_again(platform: Callable[..., Running]) -> None:
    running = platform("steady")
    first = int(running.says(r"steady +\| steady at (\d+)")[1])
    os.kill(first, signal.SIGKILL)
    running.says(r"role_died.*killed by SIGKILL")
    second = int(running.says(r"steady at (\d+)", times=2)[1])
    assert second != first
    assert psutil.pid_exists(second)


def test_the_embedded_server_killed_with_9_comes_back_with_its_data(platform: Callable[..., Running]) -> None:
    running = platform()
    running.says("ready")
    with embedded.connect(running.settings) as client:
        client.set("kept", "1")
        pid = client.info()["process_id"]
    os.kill(pid, signal.SIGKILL)
    running.says(r"role_died.*name=server|name=server.*role_died|server.*killed by SIGKILL")
    eventually(lambda: embedded.is_ready(running.settings))
    with embedded.connect(running.settings) as client:
        assert client.get("kept") == b"1"
        assert client.info()["process_id"] != pid


def test_a_role_that_keeps_failing_is_started_ever_more_slowly(platform: Callable[..., Running]) -> None:
    running = platform("crashing")
    running.says(r"restart_in_s.*0\.5")
    running.says(r"restart_in_s.*1\.0")
    assert "exit code 3" in running.text


def test_a_line_without_an_end_is_told_when_its_writer_dies(platform: Callable[..., Running]) -> None:
    running = platform("crashing")
    running.says(r"(?m)^crashing +\| first line$")
    running.says(r"(?m)^crashing +\| half a line$")


def test_an_exception_in_a_role_reaches_the_log(platform: Callable[..., Running]) -> None:
    running = platform("raising")
    running.says(r"raising +\| RuntimeError: broken on purpose")
    running.says("exit code 70")


def test_terminating_drains_the_roles_and_leaves_nothing(platform: Callable[..., Running]) -> None:
    running = platform("steady", "parent")
    running.says("parent at")
    running.says("steady at")
    everyone = running.everyone()
    running.process.terminate()
    assert running.process.wait() == 0
    assert running.text.count("steady drained") == 2
    assert running.text.index("steady drained") < running.text.index("ready to exit")  # the server went last
    assert gone(everyone)
    assert list(running.settings.run_dir.iterdir()) == []


def test_a_second_signal_hurries_a_role_that_ignores_the_first(platform: Callable[..., Running]) -> None:
    running = platform("stubborn")
    running.says("stubborn at")
    everyone = running.everyone()
    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGINT)  # may merge with the first one while that is pending
    eventually(lambda: hurry(running))
    assert "killing_what_has_not_ended" in running.text
    assert gone(everyone)


def hurry(running: Running) -> bool:
    """Ask again; true once the platform has ended."""
    if running.process.poll() is None and "killing_what_has_not_ended" not in running.text:
        running.process.send_signal(signal.SIGINT)
    return running.process.poll() is not None


def test_a_role_that_ignores_the_end_is_killed_after_the_grace(platform: Callable[..., Running]) -> None:
    running = platform("stubborn", SHUTDOWN_GRACE="0.1")
    running.says("stubborn at")
    everyone = running.everyone()
    running.process.terminate()
    assert running.process.wait() == 0
    assert gone(everyone)


def test_ctrl_c_in_a_terminal_reaches_the_supervisor_only(tmp_path: Path) -> None:
    """The terminal sends SIGINT to the whole foreground group; a role that got it would die before it drained."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(DATA_DIR=str(tmp_path / "data"), PYTHONPATH=str(ROOT), NO_COLOR="1")
        os.execv(sys.executable, [sys.executable, "-m", "tests.stand_in", "steady"])  # noqa: S606 - no shell wanted
    os.set_blocking(terminal, False)
    text = ""

    def says(wanted: str) -> bool:
        nonlocal text
        try:
            text += os.read(terminal, 65_536).decode()
        except BlockingIOError:
            pass
        except OSError:  # the other end is closed: EIO
            assert wanted in text
        return wanted in text

    eventually(lambda: says("steady at"))
    os.write(terminal, b"\x03")
    eventually(lambda: says("steady drained"))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert "KeyboardInterrupt" not in text
    os.close(terminal)


LEADER = """
import signal, subprocess, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
subprocess.run([sys.executable, "-m", "tests.stand_in", "steady"])
"""


def test_a_platform_that_lost_its_terminal_ends_even_if_its_parent_stays(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(DATA_DIR=str(tmp_path / "data"), PYTHONPATH=str(ROOT))
        os.execv(sys.executable, [sys.executable, "-c", LEADER])  # noqa: S606 - no shell wanted
    everyone = eventually(lambda: (below := psutil.Process(pid).children(recursive=True))[2:] and below)
    eventually(lambda: b"steady at" in os.read(terminal, 65_536))
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert gone(everyone)


def test_kill_9_of_the_supervisor_leaves_no_process_and_a_new_one_starts(platform: Callable[..., Running]) -> None:
    first = platform("steady")
    first.says("steady at")
    with embedded.connect(first.settings) as client:
        client.set("kept", "1")
    everyone = first.everyone()
    assert len(everyone) == 2
    first.process.kill()
    second = platform("steady")
    second.says(r"steady at (\d+)", times=2)
    eventually(lambda: gone(everyone))
    with embedded.connect(second.settings) as client:
        assert client.get("kept") == b"1"


def test_a_second_platform_on_the_same_data_directory_is_refused(platform: Callable[..., Running]) -> None:
    first = platform("steady")
    first.says("steady at")
    second = platform("steady")
    assert second.process.wait() != 0
    assert f"{first.settings.data_dir} is in use by another platform (process {first.process.pid})" in second.text
    assert first.process.poll() is None


def test_no_role_keeps_the_lock_of_the_data_directory_but_the_server(platform: Callable[..., Running]) -> None:
    running = platform()
    running.says("ready")
    server = running.everyone()[0]
    running.process.kill()
    eventually(lambda: gone([server]))
    with (running.settings.run_dir / "up.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


UNHEARD = """
import os, sys
from workplatform.processes import spawn

gate, opener = os.pipe()

def start():
    os.read(gate, 1)
    sys.stdout.write("half a line")
    return 4

try:
    child = spawn(start)
    os.close(child.output)
    os.write(opener, b"x")
    print(os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]))
finally:
    os.write(2, b"tidied")
"""


def test_a_role_whose_last_words_nobody_reads_leaves_the_parents_things_alone() -> None:
    ended = subprocess.run([sys.executable, "-c", UNHEARD], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("4\n", "tidied")


def test_only_the_process_that_took_the_lock_gives_it_up(tmp_path: Path) -> None:
    lock = runlock.acquire(Settings(data_dir=tmp_path))
    pid = os.fork()
    if pid == 0:
        seen = lock.is_ours
        lock.release()
        os._exit(int(seen))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert lock.is_ours
    lock.release()
    assert list(tmp_path.glob("run/*")) == []


def test_a_lock_file_that_took_the_place_of_ours_stays(tmp_path: Path) -> None:
    path = tmp_path / "run" / "up.lock"
    first = runlock.acquire(Settings(data_dir=tmp_path))
    path.unlink()
    second = runlock.acquire(Settings(data_dir=tmp_path))
    assert not first.is_ours
    first.release()
    assert path.exists() and second.is_ours
    second.release()
    assert not path.exists()


@pytest.mark.parametrize("below", [(), ("deeper",)])
def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path, below: tuple[str, ...]) -> None:
    (tmp_path / "file").touch()
    data_dir = tmp_path.joinpath("file", *below)
    with pytest.raises(SettingsError, match=f"^DATA_DIR={re.escape(str(data_dir))} cannot be used: "):
        runlock.acquire(Settings(data_dir=data_dir))


def test_colour_is_for_terminals_only(platform: Callable[..., Running]) -> None:
    running = platform("steady")
    running.says("steady at")
    assert "\x1b" not in running.text
    coloured = platform("steady", FORCE_COLOR="1", DATA_DIR=str(running.settings.data_dir / "other"))
    coloured.says("\x1b\\[\\d+msteady +\\|\x1b\\[0m steady at")


def test_what_a_role_started_in_its_group_dies_with_it(platform: Callable[..., Running]) -> None:
    running = platform("parent")
    found = running.says(r"parent at (\d+) of (\d+)")
    role, below = (psutil.Process(int(pid)) for pid in found.groups())
    role.kill()
    eventually(lambda: gone([below]))
