"""The version command."""

import platform

import click

from workplatform import __version__


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"workplatform {__version__} (Python {platform.python_version()})")
