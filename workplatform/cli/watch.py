"""The watch command: live progress of jobs, and an exit code by their outcome."""

import json
import sys
from collections.abc import Sequence

import click

from workplatform.cli.client import ApiClient, connect
from workplatform.cli.following import follow
from workplatform.cli.progress import exit_code, show
from workplatform.states import Status

_INTERRUPTED = 130


@click.command()
@click.argument("job", nargs=-1, required=True)
def watch(job: tuple[str, ...]) -> None:
    """Watch jobs to their end; Ctrl-C lets them run on.

    The results go to standard output as JSON, one a line. Exit code: 0 completed, 1 failed, 9 cancelled.
    """
    sys.exit(watch_to_end(connect(), job))


def watch_to_end(client: ApiClient, job_ids: Sequence[str]) -> int:
    """Show the jobs until they have ended and print their results; returns the exit code."""
    ids = tuple(dict.fromkeys(job_ids))
    try:
        ended = show(follow(client, ids), ids)
    except KeyboardInterrupt:
        click.echo(
            f"Detached; {'it runs' if len(ids) == 1 else 'they run'} on. "
            f"`workplatform watch {' '.join(ids)}` looks again, `workplatform cancel {ids[0]}` stops it.",
            err=True,
        )
        return _INTERRUPTED
    for job_id in ids:
        _conclude(ended[job_id])
    return exit_code(ended.values())


def _conclude(job: dict[str, object]) -> None:
    if job["status"] == Status.COMPLETED:
        click.echo(json.dumps(job["result"]))
    elif job["status"] == Status.FAILED:
        click.echo(f"{job['jobId']} failed: {job['error']}", err=True)
    else:
        click.echo(f"{job['jobId']} was cancelled", err=True)
