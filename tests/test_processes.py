"""Children: what they inherit, and how they end."""

import os
import signal
import sys
from pathlib import Path

import pytest

from workplatform.processes import Start, program, spawn


def outcome(start: Start) -> tuple[str, int]:
    """Run a start to its end; returns its output and exit code."""
    child = spawn(start)
    _, status = os.waitpid(child.pid, 0)
    os.set_blocking(child.output, True)
    with os.fdopen(child.output, encoding="utf-8") as output:
        return output.read(), os.waitstatus_to_exitcode(status)


def talk() -> int:
    """Write to both streams."""
    sys.stdout.write("out\n")
    sys.stderr.write("err\n")
    return 4


def leave() -> int:
    """Exit by exception."""
    raise SystemExit(5)


def own_group() -> int:
    """Tell whether this is a session of its own, without Ctrl-C."""
    alone = os.getpgrp() == os.getsid(0) == os.getpid()
    return 0 if alone and signal.getsignal(signal.SIGINT) is signal.SIG_IGN else 1


def test_both_streams_and_the_exit_code_come_back() -> None:
    assert outcome(talk) == ("out\nerr\n", 4)


def test_a_system_exit_is_the_exit_code() -> None:
    assert outcome(leave) == ("", 5)


def test_a_child_has_a_session_of_its_own_and_no_ctrl_c() -> None:
    assert outcome(own_group) == ("", 0)


def test_a_program_gets_the_given_environment_only() -> None:
    code = "import os; print(os.environ.get('A'), os.environ.get('HOME'))"
    assert outcome(program([sys.executable, "-c", code], env={"A": "1"})) == ("1 None\n", 0)


def test_a_program_that_does_not_exist_is_told(tmp_path: Path) -> None:
    text, code = outcome(program([str(tmp_path / "nothing")]))
    assert (text, code) == (f"cannot run {tmp_path}/nothing: No such file or directory\n", 127)


@pytest.mark.parametrize("kept", [True, False])
def test_a_program_inherits_only_what_is_kept(kept: bool) -> None:
    reader, writer = os.pipe()
    code = f"import os; os.fstat({writer})"
    _, ended = outcome(program([sys.executable, "-c", code], keep=[writer] if kept else []))
    assert (ended == 0) is kept
    os.close(reader)
    os.close(writer)
