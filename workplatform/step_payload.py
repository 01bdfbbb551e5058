"""The payload of a flow's step, checked while the values of its references are not known yet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from workplatform.field_types import ANY, SCALARS, FieldTypes
from workplatform.models import WireModel
from workplatform.references import Misfit, Place, Reference, is_about, put_in
from workplatform.registry import JobType
from workplatform.submission import details_of

Found = tuple[Place, str]

_NUMBERS: Final = frozenset({"integer", "number"})


class StepPayload:
    """Tries a payload with examples in the place of its references.

    What is wrong whatever stands there is wrong; what is wrong with one example only cannot be told yet, and the
    payload is validated again when the step begins.
    """

    def __init__(
        self,
        job_type: JobType,
        payload: Mapping[str, Any],
        references: Sequence[Reference],
        types: Mapping[str, JobType | None],
    ) -> None:
        self._job_type = job_type
        self._payload = payload
        self._references = references
        self._types = types
        self._takes = FieldTypes(job_type.payload_model, "validation")
        referred = {reference.step for reference in references}
        self._results = {
            name: FieldTypes(declared.result_model, "serialization")
            for name, declared in types.items()
            if declared is not None and name in referred
        }
        self._trials: list[tuple[list[Found], WireModel | None]] = []
        self.series = ""

    def problems(self) -> Iterator[Found]:
        """Yield (place in the payload, what is wrong there)."""
        wrong = [found for reference in self._references if (found := self._wrong_reference(reference))]
        yield from wrong
        if wrong:
            yield from self._wrong_fields()
            return
        yield from self._unfit()
        yield from self._wrong_fields()
        yield from self._wrong_series()

    def _wrong_reference(self, reference: Reference) -> Found | None:
        """Say why a reference is to nothing."""
        if reference.step not in self._types:
            known = ", ".join(sorted(self._types))
            return reference.place, f"{reference}: there is no step {reference.step!r}; there are {known}"
        job_type = self._types[reference.step]
        if job_type is None or self._gives(reference):
            return None
        fields = ", ".join(info.alias or name for name, info in job_type.result_model.model_fields.items())
        return reference.place, f"{reference}: {job_type.name} gives back no such field; it gives {fields}"

    def _gives(self, reference: Reference) -> frozenset[str]:
        results = self._results.get(reference.step)
        return ANY if results is None else results.at(reference.path)

    def _unfit(self) -> Iterator[Found]:
        """Yield the references whose values have another type than their field takes."""
        by_example = {place for place, _ in self._tried()[0][0]}
        for reference in self._references:
            gives, takes = self._gives(reference), self._takes.at(reference.place)
            if not reference.is_whole:
                if not gives & SCALARS:
                    kinds = " or ".join(sorted(gives))
                    yield reference.place, f"{reference} is {kinds} and cannot stand within a text"
                gives = frozenset({"string"})
            if not takes or _fits(gives, takes) or not any(is_about(place, reference) for place in by_example):
                continue
            detail = f"{reference} is {' or '.join(sorted(gives))}, and this has to be {' or '.join(sorted(takes))}"
            yield reference.place, detail

    def _wrong_fields(self) -> Iterator[Found]:
        """Yield what is wrong in every trial, the references' own places left out."""
        trials = [
            {found for found in wrong if not any(is_about(found[0], reference) for reference in self._references)}
            for wrong, _ in self._fitting() or self._tried()
        ]
        found = set.intersection(*trials)
        yield from sorted(found, key=lambda item: [str(word) for word in item[0]])

    def _wrong_series(self) -> Iterator[Found]:
        """Find the series of the job, which has to be known when the flow is made."""
        if self._job_type.series is None:
            return
        found = {self._job_type.series_of(payload) for wrong, payload in self._tried() if payload is not None}
        if len(found) == 1:
            self.series = found.pop()
        elif self._references and not any(self._wrong_fields()):
            yield (), f"which jobs of {self._job_type.name} come one after the other depends on a reference"

    def _fitting(self) -> list[tuple[list[Found], WireModel | None]]:
        """Return the trials in which the examples were taken."""
        return [
            trial
            for trial in self._tried()
            if not any(is_about(place, reference) for place, _ in trial[0] for reference in self._references)
        ]

    def _tried(self) -> list[tuple[list[Found], WireModel | None]]:
        """Return what is wrong with the payload, or what is read of it, for each way to fill it."""
        if not self._trials:
            ways = (self._result_example, self._payload_example, str) if self._references else (str,)
            self._trials = [self._try(way) for way in ways]
        return self._trials

    def _try(self, value_of: Callable[[Reference], Any]) -> tuple[list[Found], WireModel | None]:
        try:
            payload = put_in(self._payload, value_of)
        except Misfit as misfit:
            return [(misfit.place, misfit.detail)], None
        try:
            return [], self._job_type.payload_model.model_validate(payload)
        except ValidationError as error:
            return details_of(error), None

    def _result_example(self, reference: Reference) -> Any:
        results = self._results.get(reference.step)
        if results is None or not results.at(reference.path):
            return str(reference)
        return results.sample(reference.path)

    def _payload_example(self, reference: Reference) -> Any:
        takes = self._takes.at(reference.place)
        return self._takes.sample(reference.place, like=takes & SCALARS or ANY) if takes else str(reference)


def _fits(gives: frozenset[str], takes: frozenset[str]) -> bool:
    return bool(gives & takes or (gives & _NUMBERS and takes & _NUMBERS))
