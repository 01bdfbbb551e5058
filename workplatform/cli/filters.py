"""The options that say which failed jobs are meant."""

from collections.abc import Callable, Mapping
from typing import Any

import click

_OPTIONS = (
    click.option("--code", help="Failed with this error code."),
    click.option("--fingerprint", help="Failed by errors that are alike."),
    click.option("--tag", help="Failed, and submitted with this tag."),
    click.option("--since", metavar="MOMENT", help="Failed then or later (ISO 8601 with zone)."),
    click.option("--until", metavar="MOMENT", help="Failed then or before."),
)
_NAMES = {"job_type": "type", "since": "from", "until": "to"}


def of_failed_jobs(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def filter_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filter that options make, as the API names its parts."""
    return {_NAMES.get(name, name): value for name, value in options.items() if value is not None}
