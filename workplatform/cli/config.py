"""The config command: every setting in force, and where it came from."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import click
from pydantic import SecretStr

from workplatform.setting_names import FAMILIES
from workplatform.settings import Settings, load

_MASK = "********"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def config(as_json: bool) -> None:
    """Print every setting: value in force, where it came from, what it means."""
    loaded = load()
    rows = [
        {
            "name": _name(field),
            "value": shown(getattr(loaded.settings, field)),
            "source": loaded.sources[field],
            "description": info.description or "",
        }
        for field, info in Settings.model_fields.items()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{click.style(row['name'], bold=True)}={row['value']}  ({row['source']})")
        click.echo(f"    {row['description']}")


def shown(value: object) -> str:
    """Return a setting as one would write it in the environment; a secret that is set is masked."""
    if isinstance(value, SecretStr):
        return _mask(value.get_secret_value())
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}"
    if isinstance(value, tuple):
        return ",".join(shown(part) for part in value)
    if isinstance(value, Mapping):
        return ",".join(f"{name}={number}" for name, number in sorted(value.items()))
    if isinstance(value, Path):
        return str(value)
    return "" if value is None else str(value)


def _mask(secret: str) -> str:
    """Mask a secret; of a URL only the user and password are secret."""
    scheme, mark, rest = secret.partition("://")
    if not mark:
        return _MASK if secret else ""
    _, at, place = rest.rpartition("@")
    return f"{scheme}://{_MASK}@{place}" if at else secret


def _name(field: str) -> str:
    return next((f"{prefix}*" for prefix, family in FAMILIES.items() if family == field), field.upper())
