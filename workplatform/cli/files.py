"""Commands about files: send, list, fetch what a job has made."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from workplatform.cli.client import ApiClient, Document, connect
from workplatform.cli.errors import CommandError
from workplatform.cli.moving import fetch_all, upload_all

_PAGE = 1000


@click.command()
@click.argument("prefix", default="")
@click.option("--remove", "is_removing", is_flag=True, help="Remove them; PREFIX must be given.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one file a line.")
def files(prefix: str, is_removing: bool, as_json: bool) -> None:
    """List the files that were sent, those whose name begins with PREFIX: size, moment and name, tab-separated."""
    if is_removing and not prefix:
        raise click.UsageError("name the files to remove by PREFIX")
    client = connect()
    for file in listed(client, prefix):
        if is_removing:
            client.remove(file["name"])
            click.echo(f"Removed {file['name']}", err=True)
        else:
            click.echo(json.dumps(file) if as_json else f"{file['size']}\t{file['modifiedAt']}\t{file['name']}")


@click.command()
@click.argument("file", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--folder", default="", metavar="NAME", help="The folder on the platform; default: the top.")
def upload(file: tuple[Path, ...], folder: str) -> None:
    """Send FILEs to the platform; prints the path of each for a payload.

    A broken connection is resumed. A file of the same name is replaced.
    """
    names = [f"{folder.strip('/')}/{path.name}".lstrip("/") for path in file]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise CommandError(f"two of the files would be named {twice}: send them by separate commands", 2)
    for document in upload_all(connect(), dict(zip(names, file, strict=True))).values():
        click.echo(document["path"])


@click.command()
@click.argument("job")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def download(job: str, folder: Path) -> None:
    """Fetch all that a JOB has made into FOLDER; prints the path of each file.

    A broken connection is resumed, and a file is there only once it is whole.
    """
    for path in fetch_all(connect(), job, folder):
        click.echo(path)


def listed(client: ApiClient, prefix: str) -> Iterator[Document]:
    """Yield the files that were sent whose name begins with `prefix`."""
    cursor: str | None = ""
    while cursor is not None:
        page = client.files(prefix=prefix, limit=_PAGE, cursor=cursor or None)
        yield from page["files"]
        cursor = page["nextCursor"]
