"""The fsck command: does everything in the store follow from the jobs' records?"""

import json
import sys
from typing import Any

import click

from workplatform.checkup import checkup
from workplatform.settings import load
from workplatform.store.fsck.findings import Difference


@click.command()
@click.option("--repair", is_flag=True, help="Make right what follows from the records; tell of the rest.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def fsck(repair: bool, as_json: bool) -> None:
    """Compare indexes, queues, leases, slots, schedules and events with the jobs' records; exit code 1 if they differ.

    The platform may be running. Without --repair nothing is changed.
    """
    rows: list[dict[str, Any]] = []
    with checkup(load().settings) as survey:
        for difference in survey.differences():
            is_mended = repair and survey.mend(difference)
            rows.append(_row(difference, is_mended=is_mended))
            if not as_json:
                click.echo(difference.sentence + (": mended" if is_mended else ""))
    if as_json:
        click.echo(json.dumps({"jobs": survey.jobs, "keys": survey.keys, "differences": rows}, indent=2))
    else:
        _sum_up(survey.jobs, survey.keys, rows)
    sys.exit(1 if any(not row["mended"] for row in rows) else 0)


def _row(difference: Difference, *, is_mended: bool) -> dict[str, Any]:
    return {
        "kind": difference.kind,
        "subject": difference.subject,
        "sentence": difference.sentence,
        "repairable": difference.mend is not None,
        "mended": is_mended,
    }


def _sum_up(jobs: int, keys: int, rows: list[dict[str, Any]]) -> None:
    looked_at = f"{jobs} jobs, {keys} keys"
    if not rows:
        click.echo(f"{looked_at}: no difference")
        return
    mended = sum(row["mended"] for row in rows)
    left = [row for row in rows if not row["mended"]]
    click.echo(f"{looked_at}: {len(rows)} differences, {mended} mended")
    if any(row["repairable"] for row in left):
        click.echo("mend: workplatform fsck --repair")
