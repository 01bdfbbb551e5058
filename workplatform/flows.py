"""Flows: what one says, checked as a whole before anything runs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from workplatform.errors import InvalidSubmissionError
from workplatform.groups import GroupSpec
from workplatform.references import STEP_NAME, find, put_in
from workplatform.registry import JobType, Registry
from workplatform.step_payload import StepPayload
from workplatform.submission import Submission, checked, invalid, pointer_to, problem_at

MOST_STEPS: Final = 100


def _step_name(name: str) -> str:
    if not re.fullmatch(STEP_NAME, name):
        raise ValueError("a step is named with a letter, then at most 63 letters, digits, hyphens and underscores")
    return name


StepName = Annotated[str, AfterValidator(_step_name)]
Problem = dict[str, str]


class Step(Submission):
    """A step of a flow: a job, by whose name others depend on it."""

    depends_on: tuple[StepName, ...] = Field(
        (), max_length=MOST_STEPS, description="Steps that have to have ended before this one", examples=[["fetch"]]
    )


class Flow(GroupSpec):
    """The body of POST /api/flows."""

    name: str | None = Field(None, min_length=1, max_length=200, description="For people", examples=["film 17"])
    steps: dict[StepName, dict[str, Any]] = Field(
        min_length=1,
        max_length=MOST_STEPS,
        description="The steps by name, each as it would be submitted alone; dependsOn names other steps, and "
        "${STEP.result.FIELD} in a payload stands for what another step gives back",
    )


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step that has been checked; `references` names the steps to whose results its payload refers."""

    name: str
    step: Step
    job_type: JobType
    series: str
    parents: tuple[str, ...]
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A flow that has been checked, its steps in an order in which parents come before children."""

    flow: Flow
    steps: Sequence[PlannedStep]


@dataclass(slots=True)
class _Draft:
    """What is known of a step while the flow is looked at."""

    name: str
    said: Mapping[str, Any]
    step: Step | None = None
    job_type: JobType | None = None
    series: str = ""
    references: list[str] = field(default_factory=list)

    @property
    def base(self) -> str:
        return pointer_to("steps", self.name)

    @property
    def parents(self) -> tuple[str, ...]:
        """Return the steps on which it depends, those that it refers to among them."""
        said = self.step.depends_on if self.step else ()
        return tuple(dict.fromkeys([*said, *self.references]))


def plan(document: object, registry: Registry) -> Plan:
    """Check a flow; raises InvalidSubmissionError naming every wrong field of all its steps."""
    problems: list[Problem] = []
    flow = None
    try:
        flow = checked(Flow, document, "")
    except InvalidSubmissionError as error:
        problems += error.problems
    drafts = _drafts(document)
    for draft in drafts.values():
        problems += _read(draft, registry)
    for draft in drafts.values():
        problems += _payload_problems(draft, drafts)
        problems += _unknown_steps(draft, drafts)
    problems += _shared_keys(drafts)
    order, circle = _order(drafts)
    problems += circle
    if problems or flow is None:
        raise invalid(problems)
    return Plan(flow, [_planned(drafts[name]) for name in order])


def _drafts(document: object) -> dict[str, _Draft]:
    steps = document.get("steps") if isinstance(document, Mapping) else None
    if not isinstance(steps, Mapping) or len(steps) > MOST_STEPS:
        return {}
    return {name: _Draft(name, said) for name, said in steps.items() if isinstance(said, dict)}


def _read(draft: _Draft, registry: Registry) -> Iterator[Problem]:
    """Read what a step says beside its payload."""
    draft.job_type = registry.get(str(draft.said.get("type")))
    try:
        draft.step = checked(Step, draft.said, draft.base)
    except InvalidSubmissionError as error:
        yield from error.problems
    else:
        if draft.job_type is None:
            yield problem_at(f"{draft.base}/type", f"must be one of {', '.join(sorted(registry))}")
        if draft.step.batch_id is not None:
            yield problem_at(f"{draft.base}/batchId", "a step is of its flow; leave it out")


def _payload_problems(draft: _Draft, drafts: Mapping[str, _Draft]) -> Iterator[Problem]:
    payload = draft.said.get("payload")
    if not isinstance(payload, dict):
        return
    references, misfits = find(payload)
    draft.references = [reference.step for reference in references if reference.step in drafts]
    base = f"{draft.base}/payload"
    yield from (problem_at(base + pointer_to(*misfit.place), misfit.detail) for misfit in misfits)
    if draft.job_type is None or misfits:
        return
    types = {name: other.job_type for name, other in drafts.items()}
    checking = StepPayload(draft.job_type, payload, references, types)
    for place, detail in checking.problems():
        yield problem_at(base + pointer_to(*place), detail)
    draft.series = checking.series


def _unknown_steps(draft: _Draft, drafts: Mapping[str, _Draft]) -> Iterator[Problem]:
    for number, parent in enumerate(draft.step.depends_on if draft.step else ()):
        if parent not in drafts:
            known = ", ".join(sorted(drafts))
            yield problem_at(f"{draft.base}/dependsOn/{number}", f"there is no step {parent!r}; there are {known}")


def _shared_keys(drafts: Mapping[str, _Draft]) -> Iterator[Problem]:
    """Find steps that could not be there at the same time."""
    holders: dict[tuple[str, str], str] = {}
    for draft in drafts.values():
        if draft.step is None or draft.step.unique_key is None:
            continue
        holder = holders.setdefault((draft.step.type, draft.step.unique_key), draft.name)
        if holder != draft.name:
            yield problem_at(f"{draft.base}/uniqueKey", f"step {holder} of the same type has the same one")


def _order(drafts: Mapping[str, _Draft]) -> tuple[list[str], list[Problem]]:
    """Return the steps with parents before children, or what is wrong if some wait for each other."""
    graph = {name: [parent for parent in draft.parents if parent in drafts] for name, draft in drafts.items()}
    try:
        return list(TopologicalSorter(graph).static_order()), []
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]
        told = " -> ".join(circle)
        return [], [problem_at(f"{drafts[circle[0]].base}/dependsOn", f"the steps wait for each other: {told}")]


def _planned(draft: _Draft) -> PlannedStep:
    step, job_type = draft.step, draft.job_type
    if step is None or job_type is None:
        raise ValueError(f"step {draft.name} has problems")
    if not draft.references:
        step = step.model_copy(update={"payload": put_in(step.payload, lambda _: None)})
    references = tuple(dict.fromkeys(draft.references))
    return PlannedStep(draft.name, step, job_type, draft.series, draft.parents, references)
