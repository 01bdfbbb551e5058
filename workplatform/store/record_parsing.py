"""Reads a job's record out of the hash that Redis keeps."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from workplatform.states import Status
from workplatform.store.keys import SCHEMA_VERSION
from workplatform.store.records import NewerRecordError, Record, moment


def parse_record(job_id: str, fields: Mapping[str, bytes]) -> Record:
    """Build a Record from the hash; raises NewerRecordError for one of a later version than this program's."""
    version = int(fields.get("schemaVersion", 1))
    if version > SCHEMA_VERSION:
        raise NewerRecordError(
            f"job {job_id} was written by a later release (schemaVersion {version}, this one knows {SCHEMA_VERSION}): "
            "upgrade this process too"
        )
    return Record(
        id=job_id,
        type=fields["type"].decode(),
        queue=fields["queue"].decode(),
        priority=int(fields["priority"]),
        status=Status(fields["status"].decode()),
        spec=orjson.loads(fields["spec"]),
        created_at=moment(fields["createdAt"]),
        started_at=_moment(fields.get("startedAt")),
        finished_at=_moment(fields.get("finishedAt")),
        due_at=_moment(fields.get("dueAt")),
        progress=float(fields.get("progress") or 0),
        stage=_text(fields.get("stage")),
        message=_text(fields.get("message")),
        reason=_text(fields.get("reason")),
        fence=int(fields.get("fence") or 0),
        attempts=int(fields.get("attempts") or 0),
        retries=int(fields.get("retries") or 0),
        worker=_text(fields.get("worker")),
        result=_json(fields.get("result")),
        error=_json(fields.get("error")),
        outputs=_json(fields.get("outputs")) or (),
        series=_text(fields.get("series")),
        concurrency=_text(fields.get("concurrency")),
        unique_key=_text(fields.get("unique")),
        expires_at=_moment(fields.get("expiresAt")),
        deadline=_moment(fields.get("deadline")),
        group=_text(fields.get("group")),
        parents=(_text(fields.get("parents")) or "").split(),
        on_parent_failure=_text(fields.get("onParent")) or "fail",
        doom=_text(fields.get("doom")),
        edits=_json(fields.get("edits")) or (),
    )


def _moment(milliseconds: bytes | None) -> datetime | None:
    return moment(milliseconds) if milliseconds else None


def _text(value: bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if value else None


def _json(value: bytes | None) -> Any:
    return orjson.loads(value) if value else None
