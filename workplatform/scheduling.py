"""What may be asked of schedules: to make, show, change, pause, remove and fire them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from secrets import token_hex
from typing import Any, Final

from workplatform.apikeys import DEFAULT
from workplatform.errors import IllegalTransitionError, InvalidSubmissionError, ScheduleNotFoundError
from workplatform.firing import Firing
from workplatform.hooks import Hook
from workplatform.masking import masked_fields
from workplatform.registry import Registry
from workplatform.schedules import Schedule, next_fire, next_fires
from workplatform.store.records import moment
from workplatform.store.schedules import Entry, Fired, ScheduleBook
from workplatform.submission import Submission, Submitter, checked, invalid, problem_at
from workplatform.wire import timestamp

_SHOWN: Final = 5
_TRIES: Final = 10
_WHEN: Final = ("cron", "every", "timezone")
_NO_MOMENTS: Final = "a moment passes once, and a schedule fires often: leave it out, or say a span"


class ScheduleService:
    """The use cases. Every method may raise StoreUnavailableError."""

    def __init__(self, *, registry: Registry, book: ScheduleBook, submitter: Submitter, firing: Firing) -> None:
        self._registry = registry
        self._book = book
        self._submitter = submitter
        self._firing = firing

    def create(self, document: object, *, by: str = DEFAULT) -> dict[str, Any]:
        """Make a schedule of the API key `by`.

        Raises InvalidSubmissionError, or IllegalTransitionError if there is one of its name.
        """
        schedule = self._checked(document)
        if not self._write(schedule, None, by=by):
            raise IllegalTransitionError(f"there is a schedule {schedule.name!r} already")
        return self.get(schedule.name)

    def put(self, name: str, document: object, *, by: str = DEFAULT) -> tuple[dict[str, Any], bool]:
        """Make a schedule of the API key `by`, or change the one of that name; returns it, and whether it is new.

        Raises InvalidSubmissionError.
        """
        named = {"name": name, **document} if isinstance(document, dict) else document
        schedule = self._checked(named)
        if schedule.name != name:
            raise invalid([problem_at("/name", f"is {name!r} in the address")])
        for _ in range(_TRIES):
            before = self._find(name)
            if self._write(schedule, before, by=by):
                return self.get(name), before is None
        raise IllegalTransitionError("the schedule is changing all the time")

    def pause(self, name: str, *, is_paused: bool) -> dict[str, Any]:
        """Let a schedule fire no more, or again from now on; raises ScheduleNotFoundError."""
        for _ in range(_TRIES):
            entry = self._book.get(name)
            schedule = checked(Schedule, entry.spec, "")
            if schedule.paused is is_paused:
                return self._document(entry)
            if self._write(schedule.model_copy(update={"paused": is_paused}), entry):
                return self.get(name)
        raise IllegalTransitionError("the schedule is changing all the time")

    def drop(self, name: str) -> None:
        """Remove a schedule; the jobs that it made stay. Raises ScheduleNotFoundError."""
        self._book.drop(name)

    def run(self, name: str) -> Fired:
        """Fire a schedule now, beside its moments; see Firing.now."""
        return self._firing.now(name)

    def get(self, name: str) -> dict[str, Any]:
        """Return a schedule as a document; raises ScheduleNotFoundError."""
        return self._document(self._book.get(name))

    def summaries(self) -> Sequence[dict[str, Any]]:
        """Return every schedule, by name, without what is only told of a single one."""
        return [self._summary(entry) for entry in self._book.all()]

    def _find(self, name: str) -> Entry | None:
        try:
            return self._book.get(name)
        except ScheduleNotFoundError:
            return None

    def _write(self, schedule: Schedule, before: Entry | None, *, by: str = DEFAULT) -> bool:
        """Write a schedule in the place of what was read, its next moment counted from now.

        A moment that has come and is not fired yet stays, if the schedule's moments do.
        """
        told = schedule.model_dump(mode="json", by_alias=True)
        now = self._book.now()
        created = before.created_at if before else now
        following = next_fire(schedule, now, created=created)
        if before and before.next_at and all(before.spec[name] == told[name] for name in _WHEN):
            following = before.next_at
        entry = Entry(
            name=schedule.name,
            spec=told,
            revision=token_hex(8),
            created_at=created,
            next_at=None if schedule.paused else following,
            by=by,
        )
        return self._book.put(entry, replaces=before.revision if before else "")

    def _checked(self, document: object) -> Schedule:
        """Check a schedule and the job in it; raises InvalidSubmissionError naming every wrong field of both."""
        job = document.get("job") if isinstance(document, Mapping) else None
        problems = self._job_problems(job) if isinstance(job, dict) else []
        try:
            schedule = checked(Schedule, document, "")
        except InvalidSubmissionError as error:
            raise invalid([*error.problems, *problems]) from error
        if problems:
            raise invalid(problems)
        said = checked(Submission, schedule.job, "/job").model_dump(mode="json", by_alias=True, exclude_unset=True)
        try:
            self._firing.latest_job(said, schedule.jitter or 0)
        except InvalidSubmissionError as error:
            raise invalid([problem_at(f"/job{item['pointer']}", item["detail"]) for item in error.problems]) from error
        return schedule.model_copy(update={"job": said})

    def _job_problems(self, job: dict[str, Any]) -> list[dict[str, str]]:
        try:
            self._submitter.prepare(job)
        except InvalidSubmissionError as error:
            return [problem_at(f"/job{item['pointer']}", item["detail"]) for item in error.problems]
        submission = Submission.model_validate(job)
        moments = {
            "runAt": submission.run_at,
            "expiresAt": submission.expires_at,
            "deadline": submission.deadline if isinstance(submission.deadline, datetime) else None,
        }
        problems = [problem_at(f"/job/{field}", _NO_MOMENTS) for field, said in moments.items() if said is not None]
        if submission.depends_on:
            problems.append(problem_at("/job/dependsOn", "a schedule outlives jobs: leave it out"))
        return problems

    def _document(self, entry: Entry) -> dict[str, Any]:
        history = [_fire_document(fire) for fire in self._book.history(entry.name)]
        return {**self._summary(entry), "nextFires": self._next_fires(entry), "history": history}

    def _summary(self, entry: Entry) -> dict[str, Any]:
        last = {"at": timestamp(entry.last_at), "jobId": entry.last_job} if entry.last_job else None
        return {
            **entry.spec,
            "job": self._masked(entry.spec["job"]),
            "apiKey": entry.by,
            "createdAt": timestamp(entry.created_at),
            "nextFire": timestamp(entry.next_at),
            "lastFire": last,
            "fires": entry.fires,
        }

    def _masked(self, job: Mapping[str, Any]) -> dict[str, Any]:
        shown = dict(job)
        if (declared := self._registry.get(job["type"])) is not None:
            shown["payload"] = masked_fields(declared.payload_model, job["payload"])
        for field in ("callback", "onFailure"):
            if isinstance(job.get(field), Mapping):
                shown[field] = masked_fields(Hook, job[field])
        return shown

    def _next_fires(self, entry: Entry) -> list[str | None]:
        try:
            schedule = checked(Schedule, entry.spec, "")
        except InvalidSubmissionError:  # such as a time zone that is not known on this machine
            return []
        if entry.next_at is None:
            return []
        following = islice(next_fires(schedule, entry.next_at, created=entry.created_at), _SHOWN - 1)
        return [timestamp(fire) for fire in (entry.next_at, *following)]


def _fire_document(fire: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dueAt": timestamp(moment(fire["due"])),
        "at": timestamp(moment(fire["at"])),
        "outcome": fire["outcome"],
        "jobId": fire.get("job"),
        "message": fire.get("message"),
    }
