"""The workers command."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from workplatform.cli.client import connect

_COLUMNS = ("worker", "node", "status", "jobs", "cpu", "memory", "load", "free scratch", "pid", "version", "running")


@click.command()
@click.option("--queue", help="Only workers of this queue.")
@click.option("--node", help="Only workers of this node.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer.")
def workers(queue: str | None, node: str | None, as_json: bool) -> None:
    """List the live workers with their jobs: a table on a terminal, tab-separated elsewhere.

    A worker that was killed stays listed until its lease is over. Queues that nobody serves are named on stderr.
    """
    answer = connect().workers(queue=queue, node=node)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    _print([tuple(_cells(worker)) for worker in answer["workers"]])
    if answer["unserved"]:
        click.echo(f"No worker serves {', '.join(answer['unserved'])}", err=True)


def _print(rows: list[tuple[str, ...]]) -> None:
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    table = Table(*_COLUMNS, box=None, header_style="bold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _cells(worker: dict[str, Any]) -> Iterator[str]:
    yield worker["name"]
    yield worker["node"]
    yield worker["status"]
    yield f"{len(worker['jobs'])}/{worker['slots']}"
    yield f"{worker['cpuPercent']:.0f} %"
    yield decimal(worker["memoryBytes"])
    yield f"{worker['load'][0]:.1f}"
    yield decimal(worker["freeScratchBytes"])
    yield str(worker["pid"])
    yield worker["version"]
    yield ", ".join(f"{job['jobId']} {job['type']} {job['progress']:.0f} %" for job in worker["jobs"])
