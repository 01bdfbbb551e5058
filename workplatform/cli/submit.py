"""The submit command."""

import json
import sys
from typing import Any, NoReturn, TextIO

import click

from workplatform.cli.client import connect
from workplatform.cli.watch import watch_to_end


@click.command()
@click.argument("job_type", metavar="TYPE")
@click.argument("fields", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--json", "document", type=click.File(encoding="utf-8"), help="A file with the payload; - reads it.")
@click.option("--priority", type=click.IntRange(0, 4), help="0 is first, 4 last; default: the type's own.")
@click.option("--callback", metavar="URL", help="Where to POST how the job ended.")
@click.option("--watch", "is_watched", is_flag=True, help="Show progress until the job has ended.")
def submit(
    job_type: str,
    fields: tuple[str, ...],
    document: TextIO | None,
    priority: int | None,
    callback: str | None,
    is_watched: bool,
) -> None:
    """Submit a job of TYPE; its payload is given as KEY=VALUE.

    A value that is a JSON number, true, false, list, object or quoted text is taken as such, anything else as text:
    `workplatform submit webp inputPath=a.png outputPath=a.webp quality=75`. Prints the job's id; with --watch its
    result, and the exit code tells the outcome.
    """
    payload = _read(document) if document else {}
    payload.update(parse_field(text) for text in fields)
    client = connect()
    job_id: str = client.submit(job_type, payload, priority=priority, callback=callback)["jobId"]
    if not is_watched:
        click.echo(job_id)
        return
    click.echo(f"Submitted {job_id}", err=True)
    sys.exit(watch_to_end(client, [job_id]))


def parse_field(text: str) -> tuple[str, Any]:
    """Split KEY=VALUE; raises click's usage error if it is none."""
    key, mark, value = text.partition("=")
    if not key or not mark:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE")
    try:
        parsed = json.loads(value, parse_constant=_refuse)
    except ValueError:
        return key, value
    return key, value if parsed is None else parsed


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read(document: TextIO) -> dict[str, Any]:
    try:
        payload = json.load(document)
    except ValueError as error:
        raise click.BadParameter(f"{document.name} is not JSON: {error}", param_hint="--json") from None
    if not isinstance(payload, dict):
        raise click.BadParameter(f"{document.name} must hold a JSON object", param_hint="--json")
    return payload
