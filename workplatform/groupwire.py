"""The shapes of flows and batches on the wire: what GET shows and what a callback tells."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from workplatform.hooks import Hook
from workplatform.masking import masked_fields
from workplatform.states import Status
from workplatform.store.groups import Group
from workplatform.store.records import Record
from workplatform.wire import number, timestamp


def status_of(group: Group) -> Status:
    """Return how a group as a whole stands: running, completed, failed or cancelled.

    Cancelled is one that somebody has cancelled as a whole, or of which jobs were cancelled and none has failed.
    """
    counts = group.counts
    if any(counts[status] for status in Status if not status.is_final):
        return Status.RUNNING
    if group.cancelled_at is not None and counts[Status.CANCELLED]:
        return Status.CANCELLED
    if counts[Status.FAILED]:
        return Status.FAILED
    return Status.CANCELLED if counts[Status.CANCELLED] else Status.COMPLETED


def summary(group: Group) -> dict[str, Any]:
    """Render what flows and batches have in common."""
    spec = group.spec
    return {
        "flowId" if group.is_flow else "batchId": group.id,
        **({"name": spec.get("name")} if group.is_flow else {}),
        "status": status_of(group),
        "progress": number(round(group.progress, 1)),
        "total": group.total,
        "counts": {status.value: group.counts[status] for status in Status},
        "tags": spec.get("tags", []),
        "callback": _shown(spec.get("callback")),
        "onFailure": _shown(spec.get("onFailure")),
        "createdAt": timestamp(group.created_at),
        "finishedAt": timestamp(group.finished_at),
        "duration": _duration_ms(group),
    }


def flow_document(group: Group, records: Mapping[str, Record]) -> dict[str, Any]:
    """Render a flow: the summary, and the graph of its steps, given the records of its jobs."""
    steps = group.spec["steps"]
    return {
        **summary(group),
        "steps": {name: _step(said, records.get(said["id"])) for name, said in steps.items()},
        "edges": [{"from": parent, "to": name} for name, said in steps.items() for parent in said.get("dependsOn", ())],
        "result": {
            name: record.result
            for name, said in steps.items()
            if (record := records.get(said["id"])) is not None and record.status is Status.COMPLETED
        },
    }


def callback_body(group: Group, records: Mapping[str, Record], *, at: datetime) -> dict[str, Any]:
    """Render what the callback of a group tells of its end."""
    body = flow_document(group, records) if group.is_flow else summary(group)
    return {name: value for name, value in body.items() if name not in ("callback", "onFailure", "edges")} | {
        "error": _error(group, records),
        "timestamp": timestamp(at),
    }


def _step(said: Mapping[str, Any], record: Record | None) -> dict[str, Any]:
    about = {
        "jobId": said["id"],
        "type": said["type"],
        "dependsOn": said.get("dependsOn", []),
        "onParentFailure": said.get("onParentFailure", "fail"),
    }
    if record is None:  # retention has outlived it
        return {**about, "status": None}
    error = record.error or {}
    return {
        **about,
        "status": record.status,
        "progress": number(record.progress),
        "stage": record.stage,
        "message": record.message,
        "error": error.get("message"),
        "errorCode": error.get("code"),
        "attempts": record.attempts,
        "createdAt": timestamp(record.created_at),
        "startedAt": timestamp(record.started_at),
        "finishedAt": timestamp(record.finished_at),
        "duration": record.duration_ms,
    }


def _error(group: Group, records: Mapping[str, Record]) -> str | None:
    """Say in a sentence why a group has failed: a flow's first cause, or how many jobs of a batch."""
    if status_of(group) is not Status.FAILED:
        return None
    failed = [record for record in records.values() if record.status is Status.FAILED and record.finished_at]
    if failed:
        first = min(failed, key=lambda record: record.finished_at or record.created_at)
        return f"step {first.spec.get('step')}: {(first.error or {}).get('message', '')}"
    return f"{group.counts[Status.FAILED]} of {group.total} jobs failed"


def _duration_ms(group: Group) -> int | None:
    if group.finished_at is None:
        return None
    return round((group.finished_at - group.created_at).total_seconds() * 1000)


def _shown(said: str | Mapping[str, Any] | None) -> str | Mapping[str, Any] | None:
    return masked_fields(Hook, said) if isinstance(said, Mapping) else said
