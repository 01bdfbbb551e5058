"""What may be asked of flows and batches: to make, show, list, cancel and retry them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from workplatform.apikeys import DEFAULT
from workplatform.bonds import GroupNotFoundError
from workplatform.errors import IdempotencyError, IllegalTransitionError
from workplatform.flows import Plan, PlannedStep, plan
from workplatform.groups import Batch, Bonds, grouped
from workplatform.groupwire import flow_document, summary
from workplatform.groupwork import GroupWork
from workplatform.ids import new_job_id
from workplatform.registry import Registry
from workplatform.states import Status
from workplatform.store.groups import FlowMade, Group, Work
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob
from workplatform.submission import Submitter, checked
from workplatform.superseding import Superseding

_REMEMBERED: Final = timedelta(hours=24)
_AT_ONCE: Final = 200
_REFUSALS: Final[Mapping[str, str]] = {
    "over": "the {kind} has already ended: there is nothing to cancel",
    "busy": "the {kind} is being cancelled or retried already: try again when that is done",
    "nothing": "no job of the {kind} has failed or was cancelled: there is nothing to retry",
}


class GroupService:
    """The use cases. Every method may raise StoreUnavailableError; those that take an id, GroupNotFoundError."""

    def __init__(
        self, registry: Registry, store: JobStore, submitter: Submitter, superseding: Superseding, work: GroupWork
    ) -> None:
        self._registry = registry
        self._store = store
        self._submitter = submitter
        self._superseding = superseding
        self._work = work

    def create_flow(self, document: object, *, by: str = DEFAULT, key: str = "", fingerprint: str = "") -> FlowMade:
        """Check a flow and create all of its jobs, or none, for the API key named `by`.

        `key` is that of an idempotent request. Raises InvalidSubmissionError, IdempotencyError, AdmissionError, or
        IllegalTransitionError if a step's uniqueKey is taken.
        """
        planned = plan(document, self._registry)
        flow_id = new_job_id().replace("job_", "flow_")
        jobs = self._jobs(planned, f"flow:{flow_id}", by)
        made = self._store.groups.create_flow(
            flow_id, list(jobs.values()), key=key, fingerprint=fingerprint, remembered=_REMEMBERED
        )
        if made.held:
            step = next(name for name, job in jobs.items() if job.id == made.held)
            raise IllegalTransitionError(f"step {step}: job {made.by} with the same uniqueKey is active")
        if made.is_replay and (made.fingerprint != fingerprint or not made.flow_id):
            raise IdempotencyError
        if not made.is_replay:
            for job in jobs.values():
                self._superseding.after(job)
        return made

    def remember_answer(self, key: str, answer: bytes) -> None:
        """Have requests that repeat the one with this key told the same."""
        self._store.groups.remember_answer(key, answer)

    def flow(self, flow_id: str) -> dict[str, Any]:
        """Return a flow as a document: its graph and how it stands."""
        group = self._store.groups.get(f"flow:{flow_id}")
        return flow_document(group, self._store.groups.records(_job_ids(group)))

    def flow_jobs(self, flow_id: str) -> Sequence[str]:
        """Return the ids of a flow's jobs."""
        return _job_ids(self._store.groups.get(f"flow:{flow_id}"))

    def flows(self, *, limit: int, cursor: str = "") -> dict[str, Any]:
        """Return a page of flows, newest first, without their steps."""
        groups, has_more = self._store.groups.flows(limit=limit, below=cursor)
        return {"flows": [summary(group) for group in groups], "nextCursor": groups[-1].id if has_more else None}

    def cancel_flow(self, flow_id: str) -> dict[str, Any]:
        """Cancel the steps of a flow that have not ended; raises IllegalTransitionError if all have."""
        self._begin(f"flow:{flow_id}", "cancel")
        return self.flow(flow_id)

    def retry_flow(self, flow_id: str) -> dict[str, Any]:
        """Have the steps of a flow begin again that have not completed; raises IllegalTransitionError."""
        group = self._store.groups.get(f"flow:{flow_id}")
        records = self._store.groups.records(_job_ids(group))
        messages = [(record.id, self._submitter.wakeup(record)) for _, record in sorted(records.items())]
        match self._store.groups.retry_flow(group.name, messages):
            case ("unknown",):
                raise GroupNotFoundError(f"there is no flow {flow_id}")
            case ("held", job_id, other):
                step = records[job_id].spec["step"]
                raise IllegalTransitionError(f"step {step}: job {other} with the same uniqueKey is active")
            case (("busy" | "nothing") as refusal,):
                raise IllegalTransitionError(_REFUSALS[refusal].format(kind="flow"))
        return self.flow(flow_id)

    def batch_of(self, document: object, *, default: str = "") -> tuple[Batch, str]:
        """Check a batch, its jobs left out, and return it with its id; raises InvalidSubmissionError."""
        batch = checked(Batch, document, "")
        return batch, batch.batch_id or default or new_job_id().replace("job_", "batch_")

    def batched(self, jobs: Sequence[NewJob], batch: Batch, batch_id: str, *, by: str = DEFAULT) -> list[NewJob]:
        """Return prepared jobs as those of a batch, for the API key named `by`."""
        return grouped([job.submitted_by(by) for job in jobs], f"batch:{batch_id}", batch.said() | _caller(by))

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return a batch as a document."""
        return summary(self._store.groups.get(f"batch:{batch_id}"))

    def batches(self, *, limit: int, cursor: str = "") -> dict[str, Any]:
        """Return a page of batches, newest first."""
        groups, following = self._store.groups.batches(limit=limit, below=cursor)
        return {"batches": [summary(group) for group in groups], "nextCursor": following}

    def batch_jobs(
        self, batch_id: str, status: Status, *, limit: int, cursor: str = ""
    ) -> tuple[list[str], str | None]:
        """Return ids of a page of a batch's jobs in a status, the latest first, and where the next one starts."""
        group = self._store.groups.get(f"batch:{batch_id}")
        return self._store.groups.members(group.name, status, limit=limit, below=cursor)

    def work_on_batch(self, batch_id: str, work: Work) -> dict[str, Any]:
        """Cancel the jobs of a batch that have not ended, or retry those that have failed or were cancelled.

        Of very many, the scheduler does the rest. Raises IllegalTransitionError if there are none.
        """
        self._begin(f"batch:{batch_id}", work)
        return self.batch(batch_id)

    def _begin(self, name: str, work: Work) -> None:
        kind, _, group_id = name.partition(":")
        answer = self._store.groups.begin(name, work)
        if answer == "unknown":
            raise GroupNotFoundError(f"there is no {kind} {group_id}")
        if answer != "ok":
            raise IllegalTransitionError(_REFUSALS[answer].format(kind=kind))
        self._work.go_on(name, most=_AT_ONCE)

    def _jobs(self, planned: Plan, group: str, by: str) -> dict[str, NewJob]:
        """Make the jobs of a flow, by the names of their steps; ids count up from parents to children."""
        ids = {step.name: new_job_id() for step in planned.steps}
        jobs = {step.name: self._job(step, group, ids).submitted_by(by) for step in planned.steps}
        in_order = {step.name: step for step in planned.steps}
        told = {name: _told(in_order[name], ids[name]) for name in planned.flow.steps}
        spec = {**planned.flow.said(), **_caller(by), "name": planned.flow.name, "steps": told}
        return dict(zip(jobs, grouped(list(jobs.values()), group, spec), strict=True))

    def _job(self, step: PlannedStep, group: str, ids: Mapping[str, str]) -> NewJob:
        spec: dict[str, Any] = {"step": step.name}
        if step.references:
            spec["references"] = {name: ids[name] for name in step.references}
        parents = tuple(ids[name] for name in step.parents)
        bonds = Bonds(group, ids[step.name], parents, spec)
        return self._submitter.make(step.job_type, step.step, step.series, bonds)


def _told(step: PlannedStep, job_id: str) -> dict[str, Any]:
    told: dict[str, Any] = {"id": job_id, "type": step.job_type.name}
    if step.parents:
        told |= {"dependsOn": step.parents, "onParentFailure": step.step.on_parent_failure}
    return told


def _caller(by: str) -> dict[str, str]:
    return {} if by == DEFAULT else {"by": by}


def _job_ids(group: Group) -> list[str]:
    return [step["id"] for step in group.spec["steps"].values()]
