"""The examples of the documents, run as they are printed against a running platform."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.api.reading import Reader
from tests.documents import ROOT, blocks, difference
from tests.running import Up, running_up
from tests.waiting import eventually
from workplatform.cli import ffmpeg, samples
from workplatform.settings import load

PORT = "4002"
JOB_ID = re.compile(r"job_[0-9A-Z]{26}")

# Node has no EventSource of its own before version 24.
EVENT_SOURCE = """
globalThis.EventSource = class {
  constructor(url) { this.read(url); }
  async read(url) {
    const stream = (await fetch(url)).body.pipeThrough(new TextDecoderStream());
    this.onopen();
    let text = "";
    for await (const part of stream) {
      const events = (text + part).split("\\n\\n");
      text = events.pop();
      for (const line of events.flatMap((event) => event.split("\\n")).filter((line) => line.startsWith("data: "))) {
        this.onmessage({ data: line.slice(6) });
        if (JSON.parse(line.slice(6)).event === "job:completed") process.exit(0);
      }
    }
  }
};
"""
SUBMIT_WHEN_OPEN = """
await new Promise((opened) => { events.onopen = opened; });
await fetch("http://127.0.0.1:4002/api/jobs", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ type: "webp", payload: { inputPath: "data/demo/sample.jpg", outputPath: "data/seen.webp" } }),
});
"""


@pytest.fixture(scope="module")
def samples_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples that `make demo` leaves."""
    folder = tmp_path_factory.mktemp("samples")
    program = ffmpeg.program(load({}, env_file=folder / "none").settings)
    samples.make_video(program, folder / "sample.mp4")
    samples.make_photo(program, folder / "sample.jpg")
    return folder


@pytest.fixture(scope="module")
def up(samples_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform as `make up` starts it, after `make demo`."""
    with after_demo(tmp_path_factory.mktemp("up"), samples_folder) as up:
        yield up


def after_demo(folder: Path, samples_folder: Path) -> AbstractContextManager[Up]:
    shutil.copytree(samples_folder, folder / "data" / "demo")
    return running_up(folder, SHUTDOWN_GRACE="1")


def program(name: str) -> str:
    """The path of a program that the documents' readers have; at home its tests may be skipped, in CI not."""
    if path := shutil.which(name):
        return path
    missing = f"{name} is not installed; it is no part of the platform"
    return pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)


def at_port_of(up: Up, text: str) -> str:
    assert PORT in text
    return text.replace(PORT, up.environ["PORT"])


@dataclass
class Story:
    """Examples that follow each other: the ids that a document shows, and the real ones in their place."""

    ids: dict[str, str] = field(default_factory=dict)

    def real(self, text: str) -> str:
        """The text with real ids."""
        return JOB_ID.sub(lambda match: self.ids.get(match[0], match[0]), text)

    def learn(self, shown_text: str, real_text: str) -> None:
        """Note which real ids stand where ids are shown."""
        pairs = zip(JOB_ID.findall(shown_text), JOB_ID.findall(real_text), strict=False)
        self.ids = dict(pairs) | self.ids


def test_the_curls_of_the_readme_work_as_printed(up: Up) -> None:
    shell = program("sh") if program("curl") else ""
    story, shown_blocks = Story(), blocks("README.md")
    curls = [n for n, block in enumerate(shown_blocks) if block.text.startswith("curl ")]
    assert len(curls) == 2
    for number in curls:
        command, answer = story.real(at_port_of(up, shown_blocks[number].text)), shown_blocks[number + 1]

        def is_as_printed(command: str = command, answer: str = answer.text) -> bool:
            real = subprocess.run([shell, "-c", command], cwd=up.folder, capture_output=True, text=True, check=True)
            story.learn(answer, real.stdout)
            return not difference(json.loads(answer), json.loads(real.stdout))

        eventually(is_as_printed)


def test_the_scripts_of_the_readme_work_as_printed(up: Up) -> None:
    node = program("node")
    submitting, following = (block.text for block in blocks("README.md", "js"))
    said = run_script(node, at_port_of(up, submitting))
    assert re.fullmatch(r"data/photo\.webp saves \d+ bytes\n", said)
    said = run_script(node, at_port_of(up, EVENT_SOURCE + following + SUBMIT_WHEN_OPEN))
    assert re.search(r"job:completed completed 100 converting\n$", said), said


def run_script(node: str, text: str) -> str:
    command = [node, "--input-type=module", "--eval", text]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_commands_of_the_readme_work_as_printed(up: Up) -> None:
    lines = [line for block in blocks("README.md", "sh") for line in block.text.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("workplatform ")]
    assert len(commands) == 4
    for words in commands:
        ended = up.run(*words)
        assert ended.returncode == 0 and ended.stdout, ended.stderr
    assert (up.folder / "data" / "hls" / "master.m3u8").is_file()


def test_the_stream_looks_as_printed(up: Up) -> None:
    opening, *printed = next(block.text for block in blocks("docs/api.md", "text")).rstrip().split("\n\n")
    reader = Reader(up.url)
    try:
        # A job of seconds: one of milliseconds may end before its progress is told.
        payload = {"inputPath": "data/demo/sample.mp4", "outputDir": "data/stream"}
        requests.post(f"{up.url}/api/jobs", json={"type": "hls", "payload": payload}, timeout=10).raise_for_status()
        eventually(lambda: reader.named("job:completed"))
        assert opening.splitlines() == [reader.comments[0], f"retry: {reader.retry}"]
        for event in printed:
            place, data = event.splitlines()
            document = json.loads(data.removeprefix("data: "))
            real = reader.named(document["event"])[0]
            assert real.data["type"] == document["type"]
            assert real.data.keys() == document.keys()
            assert re.fullmatch(r"id: \d+-\d+", place) and re.fullmatch(r"\d+-\d+", real.id) and not real.name
    finally:
        reader.close()


def test_the_examples_of_the_api_are_what_it_answers(tmp_path: Path, samples_folder: Path) -> None:
    exchanges = [block.text for block in blocks("docs/api.md", "http")]
    assert len(exchanges) % 2 == 0 and len(exchanges) > 20
    story = Story()
    with after_demo(tmp_path / "up", samples_folder) as up:
        for request, answer in zip(exchanges[::2], exchanges[1::2], strict=True):
            exchange(up, story, request, answer)


def exchange(up: Up, story: Story, request: str, answer: str) -> None:
    """Send a request and compare its answer; one that only looks is repeated until it sees what is shown."""
    wrong = ""

    def is_as_shown() -> bool:
        nonlocal wrong
        wrong = told_differently(up, story, request, answer)
        return not wrong

    if not request.startswith("GET "):
        assert is_as_shown(), wrong
        return
    try:
        eventually(is_as_shown)
    except AssertionError as error:
        raise AssertionError(wrong) from error


def told_differently(up: Up, story: Story, request: str, answer: str) -> str:
    """Send a request; return how its answer differs from the one shown."""
    (method, path), headers, body = parsed(story.real(request))
    (_, status, *_), shown_headers, shown_body = parsed(answer)
    real = requests.request(method, f"{up.url}{path}", headers=headers, data=body.encode(), timeout=10)
    story.learn(shown_body, real.text)
    differs = difference(json.loads(story.real(shown_body)), real.json())
    for name, value in {":status": status, **shown_headers}.items():
        got = {**real.headers, ":status": str(real.status_code)}.get(name)
        differs = differs or ("" if got == story.real(value) else f"{name} is {got}")
    return differs and f"{method} {path}: {differs}: {real.text}"


def parsed(message: str) -> tuple[list[str], dict[str, str], str]:
    head, _, body = message.partition("\n\n")
    first, *lines = head.splitlines()
    return first.split(" "), dict(line.split(": ", 1) for line in lines), body.strip()


def test_the_example_of_a_job_type_runs_with_its_tests(tmp_path: Path) -> None:
    document = "docs/adding-a-job-type.md"
    for package in ("mycompany", "mycompany/jobs"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    for block in blocks(document, "python"):
        (tmp_path / block.text.splitlines()[0].removeprefix("# ")).write_text(block.text)
    testing, starting, submitting = (block.text for block in blocks(document, "sh"))
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, *shlex.split(testing)[1:], "-W", "error", "-p", "no:cacheprovider"]
    ended = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0 and "3 passed" in ended.stdout, ended.stdout
    assert starting.splitlines()[-1] == "workplatform up"
    exported = dict(word.split("=", 1) for word in shlex.split(starting.splitlines()[0])[1:])
    exported["PYTHONPATH"] += f"{os.pathsep}{ROOT}"
    with running_up(tmp_path, **exported) as up:
        ended = up.run(*shlex.split(submitting)[1:])
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["success"] is True
    assert (tmp_path / "checksum.sha256").read_text().endswith("  test_checksum.py\n")
