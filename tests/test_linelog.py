"""The one log: whole lines, each under its role's name."""

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from workplatform.linelog import LineCutter, LineLog, LineStream


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return True


class Closed(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, _text: str) -> int:
        """Fail as a broken pipe does."""
        raise BrokenPipeError


def test_lines_carry_the_name_of_their_role() -> None:
    stream = io.StringIO()
    log = LineLog(stream, console=True)
    log.write("api", "listening")
    log.write("scheduler", "awake")
    assert stream.getvalue() == "api        | listening\nscheduler  | awake\n"


def test_empty_lines_are_left_out() -> None:
    stream = io.StringIO()
    LineLog(stream, console=True).write("hls", "  ")
    assert stream.getvalue() == ""


def test_each_role_has_its_colour_on_a_terminal() -> None:
    stream = Terminal()
    log = LineLog(stream, console=True)
    for role in ("api", "hls", "api"):
        log.write(role, "x")
    first, second, third = stream.getvalue().splitlines()
    assert first == third == "\x1b[36mapi        |\x1b[0m x"
    assert second.startswith("\x1b[33mhls")


def test_in_json_every_line_is_json() -> None:
    stream = io.StringIO()
    log = LineLog(stream, console=False)
    log.write("api", '{"event": "ready", "role": "api"}')
    log.write("server", "* Ready to accept connections")
    log.write("hls", "{not json")
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"event": "ready", "role": "api"},
        {"event": "* Ready to accept connections", "role": "server"},
        {"event": "{not json", "role": "hls"},
    ]


def test_a_reader_that_went_away_stops_nothing() -> None:
    LineLog(Closed(), console=True).write("api", "unheard")


def test_our_own_lines_go_through_the_same_log() -> None:
    stream = io.StringIO()
    LineStream(LineLog(stream, console=True), "up").write("one\ntwo\n")
    assert stream.getvalue() == "up         | one\nup         | two\n"


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_however_the_bytes_arrive_the_lines_are_the_same(pieces: list[bytes]) -> None:
    at_once, piecewise = LineCutter(), LineCutter()
    whole = at_once.feed(b"".join(pieces)) + at_once.end()
    parts = [line for piece in pieces for line in piecewise.feed(piece)] + piecewise.end()
    assert parts == whole


def test_a_line_that_never_ends_is_cut() -> None:
    cutter = LineCutter()
    lines = [line for _ in range(10) for line in cutter.feed(b"x" * 10_000)]
    assert lines
    assert sum(map(len, [*lines, *cutter.end()])) == 100_000
