"""The command line without a platform: parsing, exit codes, and errors that are sentences."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from workplatform.cli import COMMANDS, cli
from workplatform.cli.client import parse_events
from workplatform.cli.config import shown
from workplatform.cli.progress import describe, exit_code
from workplatform.cli.stats import flatten
from workplatform.cli.submit import parse_field
from workplatform.settings import Settings

ROOT = Path(__file__).parent.parent.parent


def run(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder of its own."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **env}
    command = [sys.executable, "-m", "workplatform", *words]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=-1.5", -1.5),
        ("a=true", True),
        ('a=["720p","480p"]', ["720p", "480p"]),
        ('a={"b": 1}', {"b": 1}),
        ('a="5"', "5"),
        ("a=null", "null"),
        ("a=NaN", "NaN"),
        ("a=00:00:01", "00:00:01"),
        ("a=007", "007"),
        ("a=b=c", "b=c"),
        ("a=", ""),
        ("a=/x/y z.mp4", "/x/y z.mp4"),
    ],
)
def test_a_value_is_what_it_looks_like(text: str, value: object) -> None:
    parsed = parse_field(text)
    assert parsed == ("a", value)
    assert type(parsed[1]) is type(value)


@pytest.mark.parametrize("text", ["", "quality", "=1"])
def test_a_field_without_a_name_or_a_value_is_a_usage_error(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not KEY=VALUE"):
        parse_field(text)


def test_an_event_stream_is_read_by_the_standard() -> None:
    stream = [": hello", "", "id: 1-0", 'data: {"event": "job:queued",', 'data:"jobId": "j"}', "", ":", "", "data: {}"]
    assert list(parse_events(stream)) == [{"event": "job:queued", "jobId": "j"}]


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([], 0),
        (["completed"], 0),
        (["completed", "failed"], 1),
        (["cancelled", "completed"], 9),
        (["cancelled", "failed"], 1),
    ],
)
def test_the_worst_ending_is_the_exit_code(statuses: list[str], code: int) -> None:
    assert exit_code({"status": status} for status in statuses) == code


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"status": "running", "stage": "transcoding 720p", "message": "3.1x"}, "transcoding 720p: 3.1x"),
        ({"status": "running", "stage": None, "message": None}, "running"),
        ({"status": "running", "stage": "transcoding", "message": "transcoding 3x"}, "transcoding 3x"),
        ({"status": "queued", "waitingReason": "no_worker"}, "queued: no worker"),
        ({"status": "failed", "error": "not a video"}, "failed: not a video"),
        ({"status": "completed"}, "completed"),
    ],
)
def test_a_job_is_described_in_a_few_words(job: dict[str, object], words: str) -> None:
    assert describe(job) == words


def test_figures_are_told_with_their_place() -> None:
    figures = {"queues": {"hls": {"running": 1}}, "workers": ["a", None]}
    assert list(flatten(figures)) == [("queues.hls.running", "1"), ("workers.0", "a"), ("workers.1", "")]


def test_every_command_of_the_table_loads_and_explains_itself() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str()


def test_asking_for_the_version_loads_no_heavy_library() -> None:
    code = "import sys; from workplatform.cli import cli; cli.main(['version'], standalone_mode=False)\n"
    code += "print([m for m in ('celery', 'redis', 'requests', 'rich', 'av', 'pydantic') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_secrets_are_masked_in_the_configuration(tmp_path: Path) -> None:
    ended = run("config", cwd=tmp_path, API_KEY="hunter2", REDIS_URL="redis://me:hunter2@host:1/0", CONCURRENCY_HLS="2")
    assert ended.returncode == 0
    assert "hunter2" not in ended.stdout
    assert "API_KEY=********  (environment)" in ended.stdout
    assert "REDIS_URL=redis://********@host:1/0  (environment)" in ended.stdout
    assert "CONCURRENCY_*=hls=2  (environment)" in ended.stdout
    assert "PORT=4002  (default)" in ended.stdout


def test_the_configuration_as_json_names_every_setting_and_its_source(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=4100\n")
    rows = {row["name"]: row for row in json.loads(run("config", "--json", cwd=tmp_path).stdout)}
    assert rows["PORT"]["value"] == "4100"
    assert rows["PORT"]["source"] == ".env"
    assert len(rows) == len(Settings.model_fields)
    assert all(row["description"] for row in rows.values())


def test_a_setting_is_shown_as_it_would_be_written() -> None:
    settings = Settings(allowed_roots=(Path("/a"), Path("/b")))
    assert shown(settings.allowed_roots) == "/a,/b"
    assert shown(settings.lease) == "12"


def test_a_wrong_setting_is_refused_by_name_in_one_sentence(tmp_path: Path) -> None:
    ended = run("up", cwd=tmp_path, PORT="70000")
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: PORT: ")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "words", [["watch", "job_x"], ["jobs"], ["logs", "job_x"], ["cancel", "job_x"], ["stats"], ["submit", "webp"]]
)
def test_an_unreachable_platform_is_a_sentence_and_exit_code_3(tmp_path: Path, words: list[str]) -> None:
    ended = run(*words, cwd=tmp_path, WORKPLATFORM_URL="http://127.0.0.1:1")
    assert ended.returncode == 3
    assert ended.stderr.startswith("Error: http://127.0.0.1:1 does not answer")
    assert ended.stdout == ""


def test_a_worker_of_an_unknown_queue_is_refused(tmp_path: Path) -> None:
    ended = run("worker", "nonsense", cwd=tmp_path)
    assert ended.returncode == 2
    assert "there is no queue 'nonsense'" in ended.stderr


def test_an_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    assert run("nonsense", cwd=tmp_path).returncode == 2
