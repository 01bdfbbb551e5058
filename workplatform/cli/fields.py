"""The fields of a payload as people type them: short names, and an output that was left for the command to choose."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import click
from pydantic import ValidationError

from workplatform.cli.errors import CommandError
from workplatform.models import NAMED_AFTER_EXAMPLE, Payload
from workplatform.registry import discover
from workplatform.settings import load

_OUTPUT = re.compile(r"(output|dest)(Path|Dir)")


def payload_model(job_type: str) -> type[Payload] | None:
    """Return what a job type of this installation takes; None for a type that only the platform knows."""
    declared = discover(load().settings.job_packages).get(job_type)
    return declared.payload_model if declared else None


def full_name(key: str, names: Iterable[str]) -> str:
    """Return the field that a key stands for: itself in any spelling, or the only one that begins with it.

    A key that stands for none stays as it is, for the platform to refuse by name. Raises click's usage error if it may
    stand for several.
    """
    wanted = _plain(key)
    known = {_plain(name): name for name in names}
    if wanted in known:
        return known[wanted]
    found = sorted(name for plain, name in known.items() if plain.startswith(wanted))
    if len(found) > 1:
        raise click.BadParameter(f"{key!r} may stand for {', '.join(found)}")
    return found[0] if found else key


def full_names(payload: Mapping[str, Any], model: type[Payload] | None) -> dict[str, Any]:
    """Return the payload under the fields' own names; raises click's usage error."""
    if model is None:
        return dict(payload)
    names = [str(info.alias or name) for name, info in model.model_fields.items()]
    return {full_name(key, names): value for key, value in payload.items()}


def chosen_output(payload: Mapping[str, Any], model: type[Payload] | None, folder: str, source: str) -> dict[str, str]:
    """Return the output field that a payload lacks, with a path below `folder`; empty if it lacks none.

    The name is that of the source, with the ending that the field's example has if its own will not do.
    """
    fields = {str(info.alias or name): info for name, info in model.model_fields.items()} if model else {}
    outputs = [name for name in fields if _OUTPUT.fullmatch(name)]
    if model is None or not outputs or any(name in payload for name in outputs) or _is_batch(payload):
        return {}
    field = outputs[0]
    example = PurePosixPath(str(next(iter(fields[field].examples or ()), "")))
    own = PurePosixPath(source)
    names = [own.stem] if field.endswith("Dir") else [own.name, f"{own.stem}{example.suffix}"]
    if fields[field].json_schema_extra == NAMED_AFTER_EXAMPLE:
        names.reverse()
    for name in names:
        if _is_accepted(model, {**payload, field: f"{folder}/{name}"}, field):
            return {field: f"{folder}/{name}"}
    raise CommandError(f"no path for {field} can be told from {source!r}: name one, as {field}={folder}/NAME", 2)


def source_name(payload: Mapping[str, Any], default: str) -> str:
    """Return the last part of the first path or URL in a payload."""
    for field, value in payload.items():
        if isinstance(value, str) and ("/" in value or field.endswith("Path")):
            name = PurePosixPath(urlsplit(value).path).name
            if name:
                return name
    return default


def _is_accepted(model: type[Payload], payload: Mapping[str, Any], field: str) -> bool:
    """Whether nothing is wrong with one field, whatever is with the others."""
    try:
        model.model_validate(payload)
    except ValidationError as error:
        return not any(problem["loc"][:1] == (field,) for problem in error.errors())
    return True


def _is_batch(payload: Mapping[str, Any]) -> bool:
    return any(isinstance(value, list) and value and isinstance(value[0], dict) for value in payload.values())


def _plain(name: str) -> str:
    return re.sub(r"[-_]", "", name).lower()
