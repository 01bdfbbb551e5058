"""Edit and retry: a job that has ended begins again with some of what was submitted changed."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from workplatform.errors import IllegalTransitionError, InvalidSubmissionError
from workplatform.hooks import Hook
from workplatform.masking import masked_fields
from workplatform.references import find
from workplatform.registry import JobType, Registry
from workplatform.step_payload import StepPayload
from workplatform.store.records import NewJob, Record, moment
from workplatform.store.retries import Edit
from workplatform.submission import Submitter, invalid, pointer_to, problem_at
from workplatform.wire import timestamp

MOST_EDITS: Final = 20
# What a submission says about the job itself; all else is about its place in time and among others.
_EDITABLE: Final = (
    "payload",
    "callback",
    "onFailure",
    "retryPolicy",
    "maxRetries",
    "stallTimeout",
    "tags",
)
_HOOKS: Final = ("callback", "onFailure")


def edited(record: Record, changes: object, submitter: Submitter) -> tuple[bytes, Edit | None]:
    """Return the message for a job, and what changes it as a JSON merge patch (RFC 7396) of its submission says.

    The result is checked like a submission, or like a step of a flow. Raises InvalidSubmissionError, or
    IllegalTransitionError where the record could not keep what it was before.
    """
    if not isinstance(changes, dict):
        raise InvalidSubmissionError("changes are an object", [problem_at("", "not an object")])
    known = (*_EDITABLE, "priority")
    if unknown := sorted(changes.keys() - set(known)):
        detail = f"cannot be changed; what can is {', '.join(known)}"
        raise invalid([problem_at(f"/{field}", detail) for field in unknown])
    before = {"type": record.type, "priority": record.priority, **_said(record.spec)}
    after = merged(before, changes)
    if after == before or record.finished_at is None:
        return submitter.wakeup(record), None
    if len(record.edits) >= MOST_EDITS:
        raise IllegalTransitionError(f"the job was changed {MOST_EDITS} times: submit a new one")
    made = _made(record, after, submitter)
    kept = {name: value for name, value in record.spec.items() if name not in _EDITABLE}
    changed = {name: before.get(name) for name in after.keys() | before.keys() if before.get(name) != after.get(name)}
    edit = Edit(
        ended_ms=round(record.finished_at.timestamp() * 1000),
        spec=orjson.dumps({**_said(orjson.loads(made.spec)), **kept}),
        priority=made.priority,
        series=made.series,
        former=orjson.dumps({"before": changed, "error": record.error}),
    )
    return submitter.build_message(record.id, record.type, record.queue, made.priority), edit


def _made(record: Record, after: Mapping[str, Any], submitter: Submitter) -> NewJob:
    """Prepare the job anew; a step of a flow may refer to the results that it referred to before."""
    if "references" not in record.spec:
        return submitter.prepare(after)
    steps = dict.fromkeys(record.spec["references"])

    def series_of(job_type: JobType, payload: Mapping[str, Any]) -> str:
        references, misfits = find(payload)
        checking = StepPayload(job_type, payload, references, steps)
        found = [(misfit.place, misfit.detail) for misfit in misfits] or list(checking.problems())
        if found:
            raise invalid([problem_at("/payload" + pointer_to(*place), detail) for place, detail in found])
        return checking.series

    return submitter.prepare(after, series_of=series_of)


def merged(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396): objects are merged, null takes a field away, all else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def edit_documents(record: Record, registry: Registry) -> list[dict[str, Any]]:
    """Return what was changed and when, oldest first: the former values, secrets masked, and the error of that time."""
    return [_document(edit, record.type, registry) for edit in record.edits]


def _document(edit: Mapping[str, Any], job_type: str, registry: Registry) -> dict[str, Any]:
    before = dict(edit["before"])
    declared = registry.get(job_type)
    if declared is not None and "payload" in before:
        before["payload"] = masked_fields(declared.payload_model, before["payload"])
    for name in _HOOKS:
        if isinstance(before.get(name), Mapping):
            before[name] = masked_fields(Hook, before[name])
    return {"at": timestamp(moment(edit["at"])), "before": before, "error": (edit["error"] or {}).get("message")}


def _said(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {name: spec[name] for name in _EDITABLE if name in spec}
