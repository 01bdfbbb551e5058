"""Commands about queues: how they stand, pause, drain, resume, purge."""

import click

from workplatform.cli.client import connect


@click.command()
def queues() -> None:
    """List the queues: name, served or not, paused or draining, jobs waiting and running, job types; tab-separated."""
    for name, queue in connect().queues()["queues"].items():
        served = "served" if queue["served"] else "no worker"
        stands = " ".join(word for word in ("paused", "draining") if queue[word])
        if queue["draining"] and queue["empty"]:
            stands += " empty"
        load = [str(queue["waiting"]), str(queue["running"])]
        click.echo("\t".join([name, served, stands, *load, " ".join(queue["types"])]))


@click.command()
@click.argument("queue")
def pause(queue: str) -> None:
    """Let no further job of a QUEUE begin; what runs goes on."""
    connect().change_queue(queue, "pause")


@click.command()
@click.argument("queue")
def drain(queue: str) -> None:
    """Take no further job into a QUEUE; those in it run. `queues` tells when it is empty, `resume` ends it."""
    connect().change_queue(queue, "drain")


@click.command()
@click.argument("queue")
def resume(queue: str) -> None:
    """Let a QUEUE take jobs in, and let them begin, again."""
    connect().change_queue(queue, "resume")


@click.command()
@click.argument("queue")
@click.confirmation_option(prompt="Cancel every queued job of this queue?")
def purge(queue: str) -> None:
    """Cancel the jobs of a QUEUE that are queued or wait for a limit."""
    click.echo(f"{connect().change_queue(queue, 'purge')['cancelled']} cancelled")
