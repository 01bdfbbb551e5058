"""Commands about jobs that exist: list, log, cancel."""

import json
import sys
import time
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workplatform.cli.client import connect
from workplatform.cli.filters import filter_of, of_failed_jobs
from workplatform.cli.following import FINAL
from workplatform.states import Status

_POLL_S = 0.5
_COLUMNS = ("jobId", "type", "status", "progress", "attempts", "createdAt", "duration", "error")
_STYLES = {Status.COMPLETED: "green", Status.FAILED: "red", Status.RUNNING: "cyan", Status.CANCELLED: "dim"}


@click.command()
@click.option("--status", type=click.Choice([status.value for status in Status]), help="Only jobs in this status.")
@click.option("--type", "job_type", help="Only jobs of this type.")
@of_failed_jobs
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer.")
def jobs(*, status: str | None, job_type: str | None, limit: int, as_json: bool, **filters: str | None) -> None:
    """List jobs, newest first: a table on a terminal, tab-separated elsewhere.

    Options that are about failed jobs search these, the latest end first.
    """
    wanted = filter_of(filters)
    page = connect().jobs(status=status or ("failed" if wanted else None), type=job_type, limit=limit, **wanted)
    if as_json:
        click.echo(json.dumps(page, indent=2))
        return
    if not sys.stdout.isatty():
        for job in page["jobs"]:
            click.echo("\t".join(_cell(job, column) for column in _COLUMNS))
        return
    table = Table(*_COLUMNS, box=None, header_style="bold")
    for job in page["jobs"]:
        style = _STYLES.get(job["status"], "")
        table.add_row(*(Text(_cell(job, column), style=style if column == "status" else "") for column in _COLUMNS))
    Console().print(table)
    total = "?" if page["total"] is None else page["total"]
    click.echo(f"{len(page['jobs'])} of {total} jobs", err=True)


@click.command()
@click.argument("job")
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Wait for more until the job has ended.")
def logs(job: str, is_followed: bool) -> None:
    """Print the log of a JOB."""
    client = connect()
    after: int | str = 0
    while True:
        # the status is asked before the lines: those of a job that had ended by then are complete
        is_over = not is_followed or client.job(job)["status"] in FINAL
        page = client.logs(job, after)
        for line in page["lines"]:
            click.echo(line["text"])
        if is_over and not (page["lines"] and page["next"] != after):
            return
        after = page["next"]
        if not page["lines"]:
            time.sleep(_POLL_S)


@click.command()
@click.argument("job", nargs=-1, required=True)
def cancel(job: tuple[str, ...]) -> None:
    """Cancel JOBs; running ones stop within a second or two."""
    client = connect()
    for job_id in job:
        client.cancel(job_id)
        click.echo(f"Cancelled {job_id}", err=True)


def _cell(job: dict[str, Any], column: str) -> str:
    value = job.get(column)
    if value is None:
        return ""
    if column == "duration":
        return f"{value / 1000:.1f} s"
    if column == "progress":
        return f"{value:.0f} %"
    return " ".join(str(value).split())
