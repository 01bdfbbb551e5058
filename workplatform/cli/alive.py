"""The alive command: whether the roles on this machine live, for a container's health check."""

import sys

import click

from workplatform.alive import WITHIN_S, ages, are_well
from workplatform.settings import load


@click.command()
@click.argument("role", required=False)
@click.option(
    "--within", "within_s", type=click.FloatRange(min=1), default=WITHIN_S, show_default=True, help="Seconds."
)
def alive(role: str | None, within_s: float) -> None:
    """Exit with 0 if ROLE (such as api, scheduler, worker-hls) gave a sign of life lately, else with 1.

    Without ROLE every role on this machine counts, and there must be one. The files are in ALIVE_DIR.
    """
    found = ages(load().settings.alive_folder)
    if role is not None:
        found = {name: age_s for name, age_s in found.items() if name == role}
    for name, age_s in found.items():
        click.echo(f"{name}: {'alive' if age_s <= within_s else 'silent'}, {age_s:.0f} s ago")
    if not found:
        click.echo(f"no sign of life of {role or 'any role'}")
    sys.exit(0 if are_well(found, within_s) else 1)
