"""Commands about queues and limits, against an API without workers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.api.running import Running, running_both
from workplatform.cli import cli

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One API for all tests here."""
    with running_both(tmp_path_factory.mktemp("api"), API_KEYS="shop:a-key-of-the-shop") as running:
        yield running


@pytest.fixture
def run(api: Running, here: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command against the API."""
    del here  # it has no .env
    monkeypatch.setenv("WORKPLATFORM_URL", api.url)
    monkeypatch.setenv("API_KEYS", "shop:a-key-of-the-shop")

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(cli, words)

    return invoke


def told(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()]


def code(result: Result) -> int:
    return int(getattr(result.exception, "exit_code", result.exit_code))


def queue(run: Run, name: str) -> list[str]:
    return next(row for row in told(run("queues")) if row[0] == name)


def test_a_drained_queue_refuses_jobs_until_it_is_resumed(run: Run) -> None:
    assert told(run("drain", "nap")) == []
    assert queue(run, "nap") == ["nap", "no worker", "draining empty", "0", "0", "nap"]
    refused = run("submit", "nap", "path=a.txt")
    assert (code(refused), "is being drained" in str(refused.exception)) == (6, True)
    assert run("resume", "nap").exit_code == 0
    assert queue(run, "nap")[2] == ""
    assert run("submit", "nap", "path=a.txt").exit_code == 0


def test_a_paused_queue_is_purged_on_confirmation(run: Run) -> None:
    for verb in ("pause", "drain"):
        assert told(run(verb, "noop")) == []
    assert queue(run, "noop")[2] == "paused draining empty"
    assert run("resume", "noop").exit_code == 0
    assert run("submit", "noop").exit_code == 0
    assert code(run("purge", "noop")) == 1, "nobody has confirmed it"
    assert told(run("purge", "noop", "--yes")) == [["1 cancelled"]]
    assert code(run("purge", "noops", "--yes")) == 5


def test_limits_are_listed_set_and_taken_back(run: Run) -> None:
    assert told(run("limits", "set", "nap", "4, 10/s, burst 2")) == [["type:nap", "4, 10/s, burst 2", "api", "0", "0"]]
    assert told(run("limits", "set", "key:shop", "100/m")) == [["key:shop", "100/m", "api", "0", "0"]]
    assert told(run("limits")) == [
        ["key:shop", "100/m", "api", "0", "0"],
        ["type:nap", "4, 10/s, burst 2", "api", "0", "0"],
    ]
    assert told(run("limits", "set", "nap", "none")) == [["type:nap", "none", "api", "0", "0"]]
    for name in ("nap", "key:shop"):
        assert run("limits", "reset", name).exit_code == 0
    assert told(run("limits")) == []


def test_a_limit_that_cannot_be_read_or_is_of_nothing_is_told(run: Run) -> None:
    wrong = run("limits", "set", "nap", "ten")
    assert (code(wrong), 'a limit is like "4"' in wrong.output) == (2, True)
    assert code(run("limits", "set", "naps", "4")) == 5
    assert code(run("limits", "reset", "key:nobody")) == 5
