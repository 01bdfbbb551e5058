"""The stats command."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from workplatform.cli.client import connect


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer.")
def stats(as_json: bool) -> None:
    """Print the platform's figures: jobs by status, queues, workers."""
    figures = connect().stats()
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    rows = list(flatten(figures))
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        click.echo(f"{name:<{width}}  {value}")


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield each figure with its place, such as `queues.hls.running`."""
    parts: Iterator[tuple[str, Any]]
    if isinstance(value, Mapping):
        parts = ((str(key), part) for key, part in value.items())
    elif isinstance(value, list):
        parts = ((str(index), part) for index, part in enumerate(value))
    else:
        yield name, "" if value is None else str(value)
        return
    for key, part in parts:
        yield from flatten(part, f"{name}.{key}" if name else key)
