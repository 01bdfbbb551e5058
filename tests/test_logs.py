"""A role's log: for a person, or as JSON with the role in every line."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from workplatform.logs import configure, is_coloured
from workplatform.settings import Settings


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Puts the logging of the test process back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def written(log_format: str, level: str = "info") -> str:
    """Return what a role writes for one event of ours, one of a library, and one below the level."""
    stream = io.StringIO()
    configure(Settings.model_validate({"log_format": log_format, "log_level": level}), "hls", stream)
    structlog.get_logger().info("job_started", job_id="job_1")
    logging.getLogger("celery.worker").warning("lost %s", "connection")
    structlog.get_logger().debug("unheard")
    return stream.getvalue()


def test_json_lines_carry_role_level_time_and_fields() -> None:
    ours, theirs = (json.loads(line) for line in written("json").splitlines())
    assert ours["event"] == "job_started"
    assert ours["job_id"] == "job_1"
    assert ours["level"] == "info"
    assert ours["timestamp"].endswith("Z")
    assert theirs["event"] == "lost connection"
    assert ours["role"] == theirs["role"] == "hls"


def test_a_person_gets_one_line_an_event() -> None:
    ours, theirs = written("console").splitlines()
    assert "job_started" in ours
    assert "job_id=job_1" in ours
    assert "lost connection" in theirs
    assert "\x1b" not in ours


def test_auto_is_json_where_nobody_looks() -> None:
    assert json.loads(written("auto").splitlines()[0])["event"] == "job_started"


def test_the_level_of_the_settings_is_the_least_severe() -> None:
    assert "unheard" not in written("json")
    assert "unheard" in written("json", level="debug")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_exception_is_told_without_the_local_variables_which_may_be_secret(log_format: str) -> None:
    stream = io.StringIO()
    configure(Settings.model_validate({"log_format": log_format}), "api", stream)
    secret = "hunter" + "2"
    try:
        raise RuntimeError("broken on purpose")
    except RuntimeError:
        structlog.get_logger().exception("crashed")
    assert "RuntimeError: broken on purpose" in stream.getvalue()
    assert secret not in stream.getvalue()
    assert log_format == "console" or len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, False),
    ],
)
def test_no_color_wins(environ: dict[str, str], coloured: bool) -> None:
    assert is_coloured(io.StringIO(), environ) is coloured
