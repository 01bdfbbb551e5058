"""Commands that are the platform: all of it, or one role for a container."""

import importlib
import importlib.util
import os
import sys

import click

import workplatform.lean  # noqa: F401 - before all that logs
from workplatform import launch, logs
from workplatform.settings import load


@click.command()
@click.option("--flower", "with_flower", is_flag=True, help="Start Flower too, and let the workers send its events.")
def up(with_flower: bool) -> None:
    """Start the whole platform on this machine; Ctrl-C ends it."""
    sys.exit(launch.up(load().settings, with_flower=with_flower))


@click.command()
def api() -> None:
    """Run the HTTP API alone."""
    load()  # wrong settings are refused here, by name
    os.execv(sys.executable, [sys.executable, "-m", "api"])  # noqa: S606 - no shell wanted


@click.command()
@click.argument("queue")
def worker(queue: str) -> None:
    """Run the worker of one QUEUE alone."""
    settings = load().settings
    platform = importlib.import_module("workplatform.bootstrap").build(settings)
    queues = sorted(platform.registry.queues)
    if queue not in queues:
        raise click.BadParameter(f"there is no queue {queue!r}; there are {', '.join(queues)}", param_hint="QUEUE")
    logs.configure(settings, f"worker:{queue}")
    sys.exit(importlib.import_module("workplatform.worker").run(platform, queue))


@click.command()
def scheduler() -> None:
    """Run the scheduler alone."""
    settings = load().settings
    logs.configure(settings, "scheduler")
    platform = importlib.import_module("workplatform.bootstrap").build(settings)
    sys.exit(importlib.import_module("workplatform.scheduler").run(platform))


@click.command()
def flower() -> None:
    """Run Flower alone, read-only and behind API_KEY; the workers need TASK_EVENTS=true."""
    settings = load().settings
    if importlib.util.find_spec("flower") is None:
        raise click.ClickException("Flower is not installed: pip install 'workplatform[flower]'")
    logs.configure(settings, "flower")
    sys.exit(importlib.import_module("workplatform.flower").run(settings))
