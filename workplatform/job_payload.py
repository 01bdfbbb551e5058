"""The payload with which an attempt begins: as it was submitted, the results of other steps put in."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from workplatform.bonds import InvalidPayloadError
from workplatform.errors import BadInputError
from workplatform.models import Payload
from workplatform.references import Misfit, Place, Reference, find, is_about, put_in, value_at
from workplatform.registry import JobType
from workplatform.states import Status
from workplatform.store.groups import GroupBook
from workplatform.store.records import Grant, Record
from workplatform.submission import details_of


def payload_of(job_type: JobType, grant: Grant, groups: GroupBook) -> Payload:
    """Return the payload; raises BadInputError, or InvalidPayloadError naming the field and the step it came from."""
    said = grant.spec["payload"]
    if "references" in grant.spec:
        return _filled(job_type, said, _results(grant.spec["references"], groups))
    try:
        return job_type.payload_model.model_validate(said)
    except ValidationError as error:
        raise BadInputError(f"the payload no longer fits type {job_type.name}: {error.errors()[0]['msg']}") from error


def _results(steps: Mapping[str, str], groups: GroupBook) -> dict[str, Record | None]:
    records = groups.records(list(steps.values()))
    return {name: records.get(job_id) for name, job_id in steps.items()}


def _filled(job_type: JobType, said: Any, parents: Mapping[str, Record | None]) -> Payload:
    def value_of(reference: Reference) -> Any:
        parent = parents.get(reference.step)
        if parent is None or parent.status is not Status.COMPLETED:
            stands = f"is {parent.status.value}" if parent else "is gone"
            raise Misfit(reference.place, f"{reference} has no value: step {reference.step} {stands}")
        return value_at(parent.result, reference)

    try:
        return job_type.payload_model.model_validate(put_in(said, value_of))
    except Misfit as misfit:
        raise InvalidPayloadError(f"{_field(misfit.place)}: {misfit.detail}") from misfit
    except ValidationError as error:
        references, _ = find(said)
        found = [f"{_field(place)}: {detail}{_origin(place, references)}" for place, detail in details_of(error)]
        raise InvalidPayloadError("; ".join(found)) from error


def _origin(place: Place, references: list[Reference]) -> str:
    """Say which references a wrong field has its value from."""
    origins = [reference for reference in references if is_about(place, reference)]
    return f" (from {', '.join(map(str, origins))})" if origins else ""


def _field(place: Place) -> str:
    return ".".join(map(str, place)) or "the payload"
