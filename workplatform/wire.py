"""The wire's shapes: jobs, events and callbacks as JSON documents."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from workplatform.hooks import Hook
from workplatform.masking import masked_fields
from workplatform.pulse import State
from workplatform.states import Status, WaitingReason
from workplatform.store.records import QueueStates, Record, StoredEvent


def job_document(record: Record, *, max_retries: int, queues: QueueStates) -> dict[str, Any]:
    """Render a job for GET /api/jobs/:id; `queues` tells how these stand."""
    spec = record.spec
    error = record.error or {}
    return {
        "jobId": record.id,
        "type": record.type,
        "status": record.status,
        "progress": number(record.progress),
        "stage": record.stage,
        "message": record.message,
        "result": record.result,
        "error": error.get("message"),
        "errorCode": error.get("code"),
        "errorFingerprint": error.get("fingerprint"),
        "attempts": record.attempts,
        "retries": record.retries,
        "maxRetries": max_retries,
        "priority": record.priority,
        "waitingReason": waiting_reason(record, queues),
        "dependsOn": list(record.parents),
        "onParentFailure": record.on_parent_failure if record.parents else None,
        **_group(record),
        "tags": spec.get("tags", []),
        "callback": _shown_hook(spec.get("callback")),
        "onFailure": _shown_hook(spec.get("onFailure")),
        "payload": spec["payload"],
        "createdAt": timestamp(record.created_at),
        "startedAt": timestamp(record.started_at),
        "finishedAt": timestamp(record.finished_at),
        "runAt": timestamp(record.due_at),
        "expiresAt": timestamp(record.expires_at),
        "deadline": timestamp(record.deadline),
        "uniqueKey": record.unique_key,
        **_concurrency(record),
        "apiKey": record.by,
        "duration": record.duration_ms,
    }


def _group(record: Record) -> dict[str, Any]:
    """Say which flow or batch a job is of."""
    kind, _, name = (record.group or "").partition(":")
    return {
        "flowId": name if kind == "flow" else None,
        "step": record.spec.get("step"),
        "batchId": name if kind == "batch" else None,
    }


def _concurrency(record: Record) -> dict[str, Any]:
    """Say which of the caller's jobs this one shares a limit with."""
    most, _, key = (record.concurrency or "").partition(" ")
    return {"concurrencyKey": key or None, "concurrencyLimit": int(most) if most else None}


def _shown_hook(said: str | Mapping[str, Any] | None) -> str | Mapping[str, Any] | None:
    return masked_fields(Hook, said) if isinstance(said, Mapping) else said


def waiting_reason(record: Record, queues: QueueStates) -> str | None:
    """Say why a job that is not final and not running does not run."""
    if record.status is Status.QUEUED and record.queue in queues.paused:
        return WaitingReason.QUEUE_PAUSED
    if record.status is Status.QUEUED and record.queue not in queues.served:
        return WaitingReason.NO_WORKER
    return record.reason


def callback_document(  # noqa: PLR0913 - one parameter a field
    job_id: str,
    job_type: str,
    *,
    status: Status,
    result: Any,
    error: str | None,
    duration_ms: int | None,
    attempt: int,
    at: datetime,
) -> dict[str, Any]:
    """Render the body that a job's callback URL gets."""
    return {
        "jobId": job_id,
        "type": job_type,
        "status": status,
        "result": result,
        "error": error,
        "duration": duration_ms,
        "attempt": attempt,
        "timestamp": timestamp(at),
    }


def bulletin_document(job_id: str, job_type: str, *, attempt: int, at: datetime, state: State) -> dict[str, Any]:
    """Render the body that a job's callback URL gets while an attempt runs."""
    body = callback_document(
        job_id, job_type, status=Status.RUNNING, result=None, error=None, duration_ms=None, attempt=attempt, at=at
    )
    progress = number(round(state.progress, 1))
    return body | {"progress": progress, "stage": state.stage or None, "message": state.message or None}


def enveloped(kind: str, event: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Render a callback's body as Standard Webhooks recommends; `kind` is what it is about, such as `job`."""
    return {"type": f"{kind}.{event}", "timestamp": body["timestamp"], "data": body}


def event_document(event: StoredEvent) -> dict[str, Any]:
    """Render an event for SSE clients."""
    fields = event.fields
    document: dict[str, Any] = {
        "event": event.event,
        "jobId": event.job_id,
        "type": event.type,
        "status": event.status,
        "progress": number(float(fields.get("progress") or 0)),
        "message": fields.get("message") or None,
        "stage": fields.get("stage") or None,
    }
    if result := fields.get("result"):
        document["result"] = orjson.loads(result)
    if error := fields.get("error"):
        document["error"] = orjson.loads(error)["message"]
        document["errorCode"] = orjson.loads(error)["code"]
    if lines := fields.get("lines"):
        document["lines"] = lines.split("\n")
    return document


def timestamp(moment: datetime | None) -> str | None:
    """Render a moment as ISO 8601 UTC with milliseconds and Z."""
    if moment is None:
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def number(progress: float) -> int | float:
    """Render progress; whole percents have no fraction."""
    return int(progress) if progress == int(progress) else progress
