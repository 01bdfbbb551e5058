"""The submit command."""

import json
import secrets
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from workplatform.cli.client import ApiClient, ApiError, connect
from workplatform.cli.fields import chosen_output, full_names, payload_model, source_name
from workplatform.cli.files import listed
from workplatform.cli.moving import fetch_all, upload_all
from workplatform.cli.watch import watch_to_end

_UPLOAD = "@"


@click.command()
@click.argument("job_type", metavar="TYPE")
@click.argument("fields", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--json", "document", type=click.File(encoding="utf-8"), help="A file with the payload; - reads it.")
@click.option("--priority", type=click.IntRange(0, 4), help="0 is first, 4 last; default: the type's own.")
@click.option("--callback", metavar="URL", help="Where to POST how the job ended.")
@click.option("--watch", "is_watched", is_flag=True, help="Show progress until the job has ended.")
@click.option(
    "--download",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Watch, then fetch what the job has made.",
)
def submit(  # noqa: PLR0913 - one parameter an option
    *,
    job_type: str,
    fields: tuple[str, ...],
    document: TextIO | None,
    priority: int | None,
    callback: str | None,
    is_watched: bool,
    folder: Path | None,
) -> None:
    """Submit a job of TYPE; its payload is given as KEY=VALUE.

    A value that is a JSON number, true, false, list, object or quoted text is taken as such, anything else as text:
    `workplatform submit webp inputPath=a.png outputPath=a.webp quality=75`. A KEY may be shortened as long as it is
    clear. KEY=@FILE sends the file first (@@ begins a text with @). Prints the job's id; with --watch its result, and
    the exit code tells the outcome.

    With --download the output's path may be left out, and what was sent and made on the platform for this job is
    removed from there once it is fetched: `workplatform submit webp input=@photo.jpg --download out/`.
    """
    payload = _read(document) if document else {}
    payload.update(parse_field(text) for text in fields)
    client = connect()
    options = {"priority": priority, "callback": callback}
    errand = Errand(client, job_type)
    if folder or any(_is_upload(value) for value in payload.values()):
        ready = errand.prepared(payload, has_folder=folder is not None)
        job_id = str(client.submit(job_type, ready, **options)["jobId"])
    else:
        job_id = _submitted(client, job_type, payload, options)
    if not is_watched and not folder:
        click.echo(job_id)
        return
    click.echo(f"Submitted {job_id}", err=True)
    code = watch_to_end(client, [job_id])
    if folder and code == 0:
        fetch_all(client, job_id, folder)
        errand.clear()
    sys.exit(code)


class Errand:
    """The files of one submission on the platform, in a folder of their own there."""

    def __init__(self, client: ApiClient, job_type: str) -> None:
        self._client = client
        self._type = job_type
        self._folder = f"cli/{secrets.token_hex(8)}"

    def prepared(self, payload: Mapping[str, Any], *, has_folder: bool) -> dict[str, Any]:
        """Send the files that the payload names; returns it with their paths, and with an output if it needs one."""
        model = payload_model(self._type)
        ready = full_names(payload, model)
        sent = {field: Path(value[1:]).expanduser() for field, value in ready.items() if _is_upload(value)}
        names = {field: f"{self._folder}/{number}/{path.name}" for number, (field, path) in enumerate(sent.items(), 1)}
        documents = upload_all(self._client, {names[field]: path for field, path in sent.items()})
        ready = {field: _unescaped(value) for field, value in ready.items()}
        ready.update((field, documents[name]["path"]) for field, name in names.items())
        if has_folder:
            place = f"{self._client.files(limit=1)['path']}/{self._folder}/out"
            ready.update(chosen_output(ready, model, place, source_name(ready, self._type)))
        return ready

    def clear(self) -> None:
        """Remove what was sent for the job, and what it made in the folder that was chosen for it."""
        for file in listed(self._client, f"{self._folder}/"):
            self._client.remove(file["name"])


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


def _submitted(client: ApiClient, job_type: str, payload: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Submit; names are completed only where the platform does not know them, since that takes half a second."""
    plain = {field: _unescaped(value) for field, value in payload.items()}
    try:
        return str(client.submit(job_type, plain, **options)["jobId"])
    except ApiError as error:
        completed = (
            full_names(plain, payload_model(job_type)) if error.status == HTTPStatus.UNPROCESSABLE_ENTITY else plain
        )
        if completed == plain:
            raise
    return str(client.submit(job_type, completed, **options)["jobId"])


def _is_upload(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_UPLOAD) and not value.startswith(_UPLOAD * 2)


def _unescaped(value: Any) -> Any:
    return value[1:] if isinstance(value, str) and value.startswith(_UPLOAD * 2) else value


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
