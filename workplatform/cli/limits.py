"""Commands about limits: which there are and how they stand, setting them at run time, taking that back."""

import click

from workplatform.cli.client import Document, connect
from workplatform.limits import Limit, read_limit

_OF_KEY = "key:"


@click.group(invoke_without_command=True)
@click.pass_context
def limits(context: click.Context) -> None:
    """List the limits: what of, limit, where it comes from, jobs running and waiting; tab-separated.

    Without a command. With one, they are set at run time, which wins over the settings.
    """
    if context.invoked_subcommand is None:
        for limit in connect().limits()["limits"]:
            click.echo(_line(limit))


@limits.command("set")
@click.argument("name")
@click.argument("limit")
def set_limit(name: str, limit: str) -> None:
    """Set the LIMIT of a job type, or of an API key as key:NAME.

    A limit is like "4" (jobs at a time), "10/s" (a rate), "4, 10/s", "4, 10/s, burst 2", or none.
    """
    try:
        said = Limit() if limit == "none" else read_limit(limit)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    click.echo(_line(connect().set_limit(*_address(name), said.model_dump(by_alias=True, exclude_none=True))))


@limits.command()
@click.argument("name")
def reset(name: str) -> None:
    """Let what the settings say of a job type, or of an API key as key:NAME, count again."""
    click.echo(_line(connect().take_back_limit(*_address(name))))


def _address(name: str) -> tuple[str, str]:
    return ("keys", name.removeprefix(_OF_KEY)) if name.startswith(_OF_KEY) else ("types", name)


def _line(limit: Document) -> str:
    said = Limit.model_validate({name: limit[name] for name in ("concurrency", "rate", "burst")})
    whose = f" of {limit['apiKey']}" if limit["apiKey"] else ""
    words = [f"{limit['kind']}:{limit['name']}{whose}", str(said), limit["source"] or ""]
    return "\t".join([*words, str(limit["running"]), str(limit["waiting"])])
