"""Commands about flows and batches: list, show, cancel, retry."""

from typing import Any

import click

from workplatform.cli.client import connect


@click.group(invoke_without_command=True)
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many, newest first.")
@click.pass_context
def flows(context: click.Context, limit: int) -> None:
    """List the flows, newest first: id, status, progress, steps, name; tab-separated."""
    if context.invoked_subcommand is None:
        for flow in connect().flows(limit=limit)["flows"]:
            click.echo("\t".join([*_stand(flow, "flowId"), flow["name"] or ""]))


@flows.command("show")
@click.argument("flow")
def show_flow(flow: str) -> None:
    """Show the steps of a FLOW: name, status, progress, job, the steps before it, error; tab-separated."""
    document = connect().one_of("flows", flow)
    for name, step in document["steps"].items():
        progress = f"{step.get('progress', 0):.0f} %"
        error = " ".join((step.get("error") or "").split())
        before = ",".join(step["dependsOn"])
        click.echo("\t".join([name, step["status"] or "removed", progress, step["jobId"], before, error]))
    click.echo(" ".join(_stand(document, "flowId")), err=True)


@flows.command("cancel")
@click.argument("flow")
def cancel_flow(flow: str) -> None:
    """Cancel the steps of a FLOW that have not ended."""
    _change("flows", flow, "cancel")


@flows.command("retry")
@click.argument("flow")
def retry_flow(flow: str) -> None:
    """Go on with a FLOW from the step that failed."""
    _change("flows", flow, "retry")


@click.group(invoke_without_command=True)
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many, newest first.")
@click.pass_context
def batches(context: click.Context, limit: int) -> None:
    """List the batches, newest first: id, status, progress, jobs; tab-separated."""
    if context.invoked_subcommand is None:
        for batch in connect().batches(limit=limit)["batches"]:
            click.echo("\t".join(_stand(batch, "batchId")))


@batches.command("show")
@click.argument("batch")
def show_batch(batch: str) -> None:
    """Show how many jobs of a BATCH are where: status and number, tab-separated."""
    document = connect().one_of("batches", batch)
    for status, number in document["counts"].items():
        click.echo(f"{status}\t{number}")
    click.echo(" ".join(_stand(document, "batchId")), err=True)


@batches.command("cancel")
@click.argument("batch")
def cancel_batch(batch: str) -> None:
    """Cancel the jobs of a BATCH that have not ended."""
    _change("batches", batch, "cancel")


@batches.command("retry")
@click.argument("batch")
def retry_batch(batch: str) -> None:
    """Queue the jobs of a BATCH again that have failed or were cancelled."""
    _change("batches", batch, "retry")


def _change(kind: str, group_id: str, verb: str) -> None:
    document = connect().change_one_of(kind, group_id, verb)
    click.echo(f"{group_id} is {document['status']}", err=True)


def _stand(document: dict[str, Any], id_field: str) -> list[str]:
    return [document[id_field], document["status"], f"{document['progress']:.0f} %", str(document["total"])]
