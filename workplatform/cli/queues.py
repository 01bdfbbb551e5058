"""Commands about queues: how they stand, pause, resume, purge."""

import click

from workplatform.cli.client import connect


@click.command()
def queues() -> None:
    """List the queues: name, served or not, paused or not, job types; tab-separated."""
    for name, queue in connect().queues()["queues"].items():
        served = "served" if queue["served"] else "no worker"
        click.echo("\t".join([name, served, "paused" if queue["paused"] else "", " ".join(queue["types"])]))


@click.command()
@click.argument("queue")
def pause(queue: str) -> None:
    """Let no further job of a QUEUE begin; what runs goes on."""
    connect().change_queue(queue, "pause")


@click.command()
@click.argument("queue")
def resume(queue: str) -> None:
    """Let the jobs of a QUEUE begin again."""
    connect().change_queue(queue, "resume")


@click.command()
@click.argument("queue")
@click.confirmation_option(prompt="Cancel every queued job of this queue?")
def purge(queue: str) -> None:
    """Cancel the queued jobs of a QUEUE."""
    click.echo(f"{connect().change_queue(queue, 'purge')['cancelled']} cancelled")
