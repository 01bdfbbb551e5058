"""Several files at once: bars while they move, and all outputs of a job into a folder."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from workplatform.cli import transfers
from workplatform.cli.client import ApiClient, Document
from workplatform.cli.errors import CommandError
from workplatform.cli.transfers import Tell

Bar = Callable[[str, int | None], Tell]


@contextmanager
def bars() -> Iterator[Bar]:
    """Show a bar for each file on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _name, _size: lambda _count: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def bar(name: str, size: int | None) -> Tell:
            task = progress.add_task(name, total=size)
            return lambda count: progress.advance(task, count)

        yield bar


def upload_all(client: ApiClient, files: Mapping[str, Path]) -> dict[str, Document]:
    """Send files; returns what the platform says of each, by its name there."""
    missing = next((path for path in files.values() if not path.is_file()), None)
    if missing:
        raise CommandError(f"there is no file {missing}", 2)
    with bars() as bar:
        return {
            name: transfers.upload(client, path, name, bar(path.name, path.stat().st_size))
            for name, path in files.items()
        }


def fetch_all(client: ApiClient, job_id: str, folder: Path) -> list[Path]:
    """Fetch every file that a job has made into a folder; raises CommandError if there is none."""
    fetched: list[Path] = []
    with bars() as bar:
        for file in transfers.outputs(client, job_id):
            path = transfers.target(folder, file["name"])
            transfers.fetch(client, file["url"], path, bar(file["name"], file["size"]))
            fetched.append(path)
    if not fetched:
        raise CommandError(f"{job_id} has made no file that can be fetched")
    for path in fetched:
        click.echo(f"Saved {path}", err=True)
    return fetched
