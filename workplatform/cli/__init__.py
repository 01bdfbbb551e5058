"""The `workplatform` command: its groups load only when they are asked for, so that each starts quickly."""

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import click

from workplatform import __version__
from workplatform.cli.errors import CommandError
from workplatform.errors import PlatformError

COMMANDS = {
    "up": "workplatform.cli.roles:up",
    "demo": "workplatform.cli.demo:demo",
    "submit": "workplatform.cli.submit:submit",
    "files": "workplatform.cli.files:files",
    "upload": "workplatform.cli.files:upload",
    "download": "workplatform.cli.files:download",
    "watch": "workplatform.cli.watch:watch",
    "jobs": "workplatform.cli.jobs:jobs",
    "logs": "workplatform.cli.jobs:logs",
    "cancel": "workplatform.cli.jobs:cancel",
    "retry": "workplatform.cli.failures:retry",
    "errors": "workplatform.cli.failures:errors",
    "deliveries": "workplatform.cli.deliveries:deliveries",
    "resend": "workplatform.cli.deliveries:resend",
    "stats": "workplatform.cli.stats:stats",
    "workers": "workplatform.cli.workers:workers",
    "queues": "workplatform.cli.queues:queues",
    "pause": "workplatform.cli.queues:pause",
    "drain": "workplatform.cli.queues:drain",
    "resume": "workplatform.cli.queues:resume",
    "purge": "workplatform.cli.queues:purge",
    "limits": "workplatform.cli.limits:limits",
    "schedules": "workplatform.cli.schedules:schedules",
    "flows": "workplatform.cli.groups:flows",
    "batches": "workplatform.cli.groups:batches",
    "doctor": "workplatform.cli.doctor:doctor",
    "fsck": "workplatform.cli.fsck:fsck",
    "config": "workplatform.cli.config:config",
    "version": "workplatform.cli.version:version",
    "api": "workplatform.cli.roles:api",
    "worker": "workplatform.cli.roles:worker",
    "scheduler": "workplatform.cli.roles:scheduler",
    "flower": "workplatform.cli.roles:flower",
    "alive": "workplatform.cli.alive:alive",
    "browser": "workplatform.cli.browser:browser",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used; `table` says where each is, as `module:name`."""

    def __init__(self, *words: Any, table: Mapping[str, str] = COMMANDS, **options: Any) -> None:
        super().__init__(*words, **options)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import a command."""
        if cmd_name not in self.table:
            return None
        module, _, name = self.table[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def cli() -> None:
    """Typed jobs over HTTP, run by workers, with live progress.

    Settings come from the environment and from .env in the current folder: see `workplatform config`.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the platform cannot be reached, 4 the key is refused, 5 not found,
    6 the job's or the queue's status does not allow it, 7 too many jobs wait, 9 the job was cancelled.
    """


def main() -> None:
    """Run the command line; an error is one sentence on stderr, never a traceback."""
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except CommandError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except PlatformError as error:
        click.echo(f"Error: {error.message}", err=True)
        sys.exit(1)
