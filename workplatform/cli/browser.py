"""The browser command: gets what drives Chromium, into an environment of its own."""

import subprocess
import venv
from importlib.metadata import requires
from pathlib import Path

import click
from packaging.requirements import Requirement

from workplatform import browsing
from workplatform.cli.errors import CommandError


@click.group()
def browser() -> None:
    """Prepare the browser that downloads may use."""


@browser.command()
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the environment, for BROWSER_PYTHON=FOLDER/bin/python; default: within the platform's own.",
)
def install(into: Path | None) -> None:
    """Install pyppeteer in an environment of its own.

    It holds urllib3 and websockets at versions of years ago, which the platform itself should not run with.
    """
    wanted = _wanted()
    folder = into or browsing.environment()
    venv.create(folder, with_pip=True, clear=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*command, *wanted], check=False).returncode:
        raise CommandError(f"pip could not install {', '.join(wanted)} into {folder}")
    click.echo(f"pyppeteer is in {folder}" + (f": set BROWSER_PYTHON={folder}/bin/python" if into else ""))


def _wanted() -> list[str]:
    """Return what the extra `browser` names, as pip wants it."""
    named = [Requirement(text) for text in requires("workplatform") or () if "extra ==" in text]
    wanted = [f"{one.name}{one.specifier}" for one in named if one.marker and one.marker.evaluate({"extra": "browser"})]
    if not wanted:
        raise CommandError("the installed workplatform is older than its extra `browser`: pip install it again")
    return wanted
