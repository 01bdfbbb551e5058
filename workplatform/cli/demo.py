"""The demo command: the whole platform, from nothing to results, in a minute."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from workplatform.address import local_url
from workplatform.cli import ffmpeg, samples
from workplatform.cli.client import ApiClient, Document, key_of
from workplatform.cli.errors import CommandError
from workplatform.cli.following import follow
from workplatform.cli.progress import exit_code, show
from workplatform.errors import AlreadyRunningError
from workplatform.launch import check_port
from workplatform.processes import end_with_parent
from workplatform.settings import Settings, load
from workplatform.states import Status

_START_S = 60.0
_STOP_S = 60.0
_POLL_S = 0.05
_TAIL_LINES = 30


@click.command()
@click.option("--exit", "exits", is_flag=True, help="Stop when the jobs have ended, also on a terminal.")
def demo(exits: bool) -> None:
    """Start the platform, run real jobs on a sample video and photo, and show where the results are.

    Everything goes to the folder `demo` in DATA_DIR. On a terminal the platform keeps running until Ctrl-C. The exit
    code is not 0 if a job failed.
    """
    stays = sys.stdin.isatty() and sys.stdout.isatty() and not exits
    environ = _environment(load().settings)
    settings = load(environ).settings
    video, photo = settings.data_dir / "sample.mp4", settings.data_dir / "sample.jpg"
    click.echo("Making a sample video and photo ...", err=True)
    program = ffmpeg.program(settings)
    samples.make_video(program, video)
    samples.make_photo(program, photo)
    with _platform(settings, environ) as (client, process):
        code = _run_jobs(client, _submissions(settings.data_dir, video, photo))
        click.echo(f"\nResults    {settings.data_dir / 'out'}\nDashboard  {client.url}/")
        if stays:
            click.echo("\nThe platform keeps running; Ctrl-C stops it.", err=True)
            process.wait()
    sys.exit(code)


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment of the demo's platform: its own folder, embedded server and, if need be, port."""
    folder = settings.data_dir / "demo"
    own = {
        "DATA_DIR": str(folder),
        "ALLOWED_ROOTS": str(folder),
        "QUEUE_TYPE": "memory",
        "PORT": str(_free_port(settings)),
        "LOG_FORMAT": "console",
    }
    return {**os.environ, **own}


def _free_port(settings: Settings) -> int:
    try:
        check_port(settings)
    except AlreadyRunningError:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            return int(probe.getsockname()[1])
    return settings.port


@contextmanager
def _platform(settings: Settings, environ: dict[str, str]) -> Iterator[tuple[ApiClient, subprocess.Popen[bytes]]]:
    """Run `up` for the length of a `with` block; Ctrl-C ends the block well."""
    log_file = settings.data_dir / "up.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "workplatform", "up"],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=end_with_parent(),  # noqa: PLW1509 - one prctl; takes no lock
        )
    try:
        client = ApiClient(local_url(settings), key_of(settings))
        click.echo(f"Starting the platform (its log: {log_file}) ...", err=True)
        _wait_until_ready(client, process, log_file)
        yield client, process
    except KeyboardInterrupt:
        click.echo("", err=True)
    finally:
        click.echo("Stopping the platform ...", err=True)
        _stop(process)


def _wait_until_ready(client: ApiClient, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not client.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            with log_file.open(encoding="utf-8", errors="replace") as lines:
                click.echo("".join(deque(lines, _TAIL_LINES)), err=True)
            raise CommandError("the platform did not start; its last words are above")
        time.sleep(_POLL_S)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()  # the kernel tells its children
        process.wait()


def _submissions(folder: Path, video: Path, photo: Path) -> list[tuple[str, Document]]:
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    thumbnail: dict[str, Any] = {
        "videoPath": str(video),
        "outputPath": str(out / "thumbnail.webp"),
        "timestamp": "50%",
        "width": 640,
    }
    webp = {"inputPath": str(photo), "outputPath": str(out / "photo.webp"), "width": 1600}
    hls = {"inputPath": str(video), "outputDir": str(out / "hls"), "qualities": ["720p", "480p", "360p"]}
    return [("thumbnail", thumbnail), ("webp", webp), ("hls", hls)]


def _run_jobs(client: ApiClient, submissions: Sequence[tuple[str, Document]]) -> int:
    ids = [client.submit(job_type, payload)["jobId"] for job_type, payload in submissions]
    ended = show(follow(client, ids), ids)
    click.echo("")
    for job in (ended[job_id] for job_id in ids):
        if job["status"] == Status.COMPLETED:
            result = job["result"]
            where = result.get("outputPath") or result.get("hlsPath")
            seconds = (job["duration"] or 0) / 1000
            click.echo(f"{job['type']:<10} {seconds:6.2f} s  {_readable(result.get('size', 0)):>9}  {where}")
        else:
            click.echo(f"{job['type']:<10} {job['status']}: {job['error']}")
    return exit_code(ended.values())


def _readable(size: float) -> str:
    for unit in ("B", "kB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} MB"
