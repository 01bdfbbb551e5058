"""The command about schedules: what fires when."""

import click

from workplatform.cli.client import connect


@click.command()
def schedules() -> None:
    """List the schedules: name, cron or span, time zone, job type, next fire or paused, last job; tab-separated."""
    for schedule in connect().schedules()["schedules"]:
        moments = schedule["cron"] or f"every {schedule['every'] / 1000:g} s"
        following = "paused" if schedule["paused"] else schedule["nextFire"] or "never"
        last = (schedule["lastFire"] or {}).get("jobId", "")
        words = [schedule["name"], moments, schedule["timezone"], schedule["job"]["type"], following, last]
        click.echo("\t".join(words))
