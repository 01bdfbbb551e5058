"""The payload with which a step begins: filled from real results, or refused with the field and the step it is from."""

import json
from typing import Any

import pytest
from pydantic import Field

from tests.builders import a_job, claim, completed, failed
from workplatform.bonds import InvalidPayloadError
from workplatform.context import JobContext
from workplatform.errors import BadInputError
from workplatform.job_payload import payload_of
from workplatform.models import Payload, Result
from workplatform.registry import JobType, job_type
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob, Settlement


class Cut(Payload):
    """What to cut."""

    path: str = Field(min_length=1, description="The film")
    width: int = Field(1, le=100, description="How wide")


@job_type("cut", queue="nap")
def cut(payload: Cut, job: JobContext) -> Result:  # noqa: ARG001
    """Cut."""
    return Result()


CUT: JobType = vars(cut)["__job_type__"]


def begun(store: JobStore, payload: dict[str, Any], parent: NewJob | None = None) -> Payload:
    """Begin a step after a parent named `a`."""
    spec = {"payload": payload, **({"references": {"a": parent.id}} if parent else {})}
    job = a_job()._replace(spec=json.dumps(spec).encode())
    store.create([job])
    return payload_of(CUT, claim(store, job), store.groups)


def a_parent(store: JobStore, ending: Settlement) -> NewJob:
    job = a_job()
    store.create([job])
    claim(store, job)
    assert store.settle(job.id, 1, ending).is_accepted
    return job


RESULT = completed(result=b'{"path": "a.mp4", "width": 50, "wide": 101, "none": null}')


def test_results_are_put_in_with_their_types(store: JobStore) -> None:
    payload = begun(store, {"path": "$${x}/${a.result.path}", "width": "${a.result.width}"}, a_parent(store, RESULT))
    assert payload == Cut(path="${x}/a.mp4", width=50)


def test_a_plain_payload_is_taken_as_it_is(store: JobStore) -> None:
    assert begun(store, {"path": "${a.result.path} $${x}"}) == Cut(path="${a.result.path} $${x}")
    with pytest.raises(BadInputError, match="no longer fits type cut"):
        begun(store, {"path": ""})


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (
            {"path": "a", "width": "${a.result.wide}"},
            "width: Input should be less than or equal to 100 (from ${a.result.wide})",
        ),
        (
            {"path": "${a.result.none}", "width": "${a.result.path}"},
            "path: Input should be a valid string (from ${a.result.none}); width: Input should be a valid integer, "
            "unable to parse string as an integer (from ${a.result.path})",
        ),
        ({"path": "${a.result.nope}"}, "path: step a has no ${a.result.nope}"),
        ({"path": "x ${a.result.none}"}, "path: ${a.result.none} is null and cannot stand within a text"),
    ],
)
def test_a_value_that_does_not_fit_names_the_field_and_its_origin(
    store: JobStore, payload: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidPayloadError) as caught:
        begun(store, payload, a_parent(store, RESULT))
    assert caught.value.message == told


def test_a_step_that_has_not_completed_gives_no_value(store: JobStore) -> None:
    with pytest.raises(InvalidPayloadError, match="has no value: step a is failed"):
        begun(store, {"path": "${a.result.path}"}, a_parent(store, failed()))


def test_a_step_that_is_gone_gives_no_value(store: JobStore) -> None:
    with pytest.raises(InvalidPayloadError, match="has no value: step a is gone"):
        begun(store, {"path": "${a.result.path}"}, a_job())
