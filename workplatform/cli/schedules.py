"""Commands about schedules: what fires when, next fires and history, pause, resume, run."""

import click

from workplatform.cli.client import connect


@click.group(invoke_without_command=True)
@click.pass_context
def schedules(context: click.Context) -> None:
    """List the schedules: name, cron or span, time zone, job type, next fire or paused, last job; tab-separated."""
    if context.invoked_subcommand is not None:
        return
    for schedule in connect().schedules()["schedules"]:
        moments = schedule["cron"] or f"every {schedule['every'] / 1000:g} s"
        following = "paused" if schedule["paused"] else schedule["nextFire"] or "never"
        last = (schedule["lastFire"] or {}).get("jobId", "")
        words = [schedule["name"], moments, schedule["timezone"], schedule["job"]["type"], following, last]
        click.echo("\t".join(words))


@schedules.command("show")
@click.argument("schedule")
def show_schedule(schedule: str) -> None:
    """Show the last fires of a SCHEDULE, oldest first, and its next: moment, outcome, job, message; tab-separated."""
    document = connect().one_of("schedules", schedule)
    for fire in reversed(document["history"]):
        click.echo("\t".join([fire["dueAt"], fire["outcome"], fire["jobId"] or "", fire["message"] or ""]))
    for moment in document["nextFires"]:
        click.echo(f"{moment}\tnext\t\t")


@schedules.command("pause")
@click.argument("schedule")
def pause_schedule(schedule: str) -> None:
    """Let a SCHEDULE fire no more."""
    connect().change_one_of("schedules", schedule, "pause")


@schedules.command("resume")
@click.argument("schedule")
def resume_schedule(schedule: str) -> None:
    """Let a SCHEDULE fire again, from now on."""
    connect().change_one_of("schedules", schedule, "resume")


@schedules.command("run")
@click.argument("schedule")
def run_schedule(schedule: str) -> None:
    """Make the job of a SCHEDULE now, and print its id."""
    click.echo(connect().change_one_of("schedules", schedule, "run")["jobId"])
