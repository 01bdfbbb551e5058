"""Commands about failures: which errors are alike, and retrying what failed."""

import time
from typing import Any

import click

from workplatform.cli.client import ApiClient, connect
from workplatform.cli.errors import CommandError
from workplatform.cli.filters import filter_of, of_failed_jobs

_POLL_S = 0.5
_ACTIVE = ("canary", "proving", "running")


@click.command()
@click.option("--type", "job_type", help="Only errors of this type.")
@click.option("--sort", type=click.Choice(["lastSeen", "count"]), default="lastSeen", show_default=True, help="Order.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many.")
def errors(job_type: str | None, sort: str, limit: int) -> None:
    """List errors that are alike: count, failed now, last seen, type, code, fingerprint, message; tab-separated."""
    for error in connect().errors(type=job_type, sort=sort, limit=limit)["errors"]:
        numbers = [str(error["count"]), str(error["failed"])]
        words = [error[name] for name in ("lastSeen", "type", "code", "fingerprint")]
        click.echo("\t".join([*numbers, *words, " ".join(error["message"].split())]))


@click.command()
@click.argument("job", nargs=-1)
@click.option("--type", "job_type", help="Retry failed jobs of this type.")
@of_failed_jobs
@click.option("--dry-run", is_flag=True, help="Only tell how many these are.")
@click.option("--canary", type=click.IntRange(1, 50), help="Retry so many first, the rest once these completed.")
def retry(job: tuple[str, ...], *, dry_run: bool, canary: int | None, **filters: str | None) -> None:
    """Queue JOBs that failed or were cancelled again, or all failed jobs that match the options.

    With options it goes on until the last one is queued, and says how many that are. Breaking it off does not stop the
    retry: DELETE /api/retries/ID does.
    """
    wanted = filter_of(filters)
    if bool(job) == bool(wanted):
        raise click.UsageError("name JOBs, or say by options which failed jobs are meant")
    if job and (dry_run or canary):
        raise click.UsageError("--dry-run and --canary are for retries by options")
    client = connect()
    for job_id in job:
        client.retry(job_id)
        click.echo(f"Queued {job_id} again", err=True)
    if wanted:
        _retry_many(client, {"filter": wanted, "dryRun": dry_run, "canary": canary or 0})


def _retry_many(client: ApiClient, order: dict[str, Any]) -> None:
    told = client.retry_many(order)
    if order["dryRun"]:
        for job in told["sample"]:
            click.echo("\t".join([job["jobId"], job["type"], job["errorCode"] or "", " ".join(job["error"].split())]))
        click.echo(f"{'?' if told['total'] is None else told['total']} jobs", err=True)
        return
    click.echo(told["retryId"])
    while told["status"] in _ACTIVE:
        time.sleep(_POLL_S)
        told = client.retry_state(told["retryId"])
    if told["status"] != "completed":
        raise CommandError(f"{told['status']} after {told['retried']} jobs: {told['reason']}", 1)
    click.echo(f"{told['retried']} queued again, {told['skipped']} skipped", err=True)
