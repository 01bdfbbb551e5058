"""Commands about callbacks: what receivers were told of a job, and telling them again."""

import json

import click

from workplatform.cli.client import Document, connect


@click.command()
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer.")
def deliveries(job: str, as_json: bool) -> None:
    """List the callbacks about a JOB: id, event, status, URL, attempts, and how the last one went; tab-separated."""
    answer = connect().deliveries(job)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    for delivery in answer["deliveries"]:
        attempts = delivery["attempts"]
        words = [delivery[name] for name in ("deliveryId", "event", "status", "url")]
        click.echo("\t".join([*words, str(len(attempts)), _outcome(attempts[-1]) if attempts else ""]))


@click.command()
@click.argument("job")
@click.argument("delivery", nargs=-1, required=True)
def resend(job: str, delivery: tuple[str, ...]) -> None:
    """Send DELIVERIES about a JOB again, at once."""
    client = connect()
    for delivery_id in delivery:
        client.resend(job, delivery_id)
        click.echo(f"Queued {delivery_id} again", err=True)


def _outcome(attempt: Document) -> str:
    if attempt["error"]:
        return " ".join(attempt["error"].split())
    return f"{attempt['statusCode']} after {attempt['latency']} ms"
