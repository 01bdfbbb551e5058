"""Terms: when a job may begin, by when it has to have begun or ended, and which other job makes it needless."""

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from workplatform.ids import JOB_ID
from workplatform.models import WireModel

_UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART: Final = re.compile(r"(\d{1,15}(?:\.\d{1,3})?)\s*(ms|s|m|h|d)\s*")
_LONGEST_MS: Final = 366 * _UNITS_MS["d"]
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_YEARS: Final = (1970, 9998)
_PARENTS: Final = 50
_A_MOMENT: Final = "a text such as 2030-01-31T04:00:00Z"
_A_SPAN: Final = 'milliseconds, or a text such as "90s", "10m" or "1h30m" (units ms, s, m, h, d)'


def milliseconds(value: Any) -> Any:
    """Read "1h30m" and the like; leave all else to the validation of integers."""
    if not isinstance(value, str):
        return value
    parts = list(_PART.finditer(value))
    if not parts or "".join(part[0] for part in parts) != value.lstrip():
        raise ValueError(f"a span is {_A_SPAN}")
    return round(sum(float(part[1]) * _UNITS_MS[part[2]] for part in parts))


def _is_moment(value: Any) -> bool:
    return isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value) is not None)


def _text(value: Any) -> Any:
    """Refuse numbers, as texts too: nobody can tell seconds from milliseconds."""
    if not _is_moment(value):
        raise ValueError(f"a moment is {_A_MOMENT}")
    return value


def _showable(moment: datetime) -> datetime:
    """Refuse what cannot be told as a moment of another zone."""
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        raise ValueError(f"a moment is of the years {_YEARS[0]} to {_YEARS[1]}")
    return moment


_SPAN_SCHEMA: Final = {"anyOf": [{"type": "integer"}, {"type": "string", "examples": ["10m"]}]}
Delay = Annotated[
    int,
    Field(strict=True, ge=0, le=_LONGEST_MS),
    BeforeValidator(milliseconds),
    WithJsonSchema(_SPAN_SCHEMA, mode="validation"),
]
Span = Annotated[Delay, Field(ge=1)]
Moment = Annotated[AwareDatetime, BeforeValidator(_text), AfterValidator(_showable)]


def _span_or_moment(value: Any) -> int | datetime:
    """Read a deadline as what it was meant to be, so that only what is wrong with that is told."""
    if isinstance(value, str) and not (_is_moment(value) or _PART.match(value.lstrip())):
        raise ValueError(f"a deadline is a span, {_A_SPAN}, or a moment, {_A_MOMENT}")
    try:
        return _MOMENT.validate_python(value) if _is_moment(value) else _SPAN.validate_python(value)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


_SPAN: Final[TypeAdapter[int]] = TypeAdapter(Span)
_MOMENT: Final[TypeAdapter[datetime]] = TypeAdapter(Moment)
Deadline = Annotated[int | datetime, BeforeValidator(_span_or_moment)]

OnParentFailure = Literal["fail", "skip", "continue"]
JobId = Annotated[str, Field(pattern=rf"^{JOB_ID.pattern}$")]


class Terms(WireModel):
    """What a submission says about time, and about other jobs like it. Moments are by Redis's clock."""

    delay: Delay | None = Field(None, description=f"Do not begin before this has passed: {_A_SPAN}", examples=["10m"])
    run_at: Moment | None = Field(
        None, description="Do not begin before this moment (ISO 8601 with zone)", examples=["2030-01-31T04:00:00Z"]
    )
    ttl: Span | None = Field(None, description="Fail as `expired` if not begun within this", examples=["1h"])
    expires_at: Moment | None = Field(
        None, description="Fail as `expired` if not begun by this moment", examples=["2030-01-31T05:00:00Z"]
    )
    deadline: Deadline | None = Field(
        None,
        description="Fail as `deadline` if not ended, retries included, within this span or by this moment",
        examples=["2h", "2030-01-31T06:00:00Z"],
    )
    stall_timeout: Span | None = Field(
        None, description="End and retry an attempt that shows no progress and writes nothing for this", examples=["5m"]
    )
    unique_key: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="While a job of this type with the same key is active, it is answered instead of making another",
        examples=["film-17"],
    )
    depends_on: tuple[JobId, ...] = Field(
        (),
        max_length=_PARENTS,
        description="Ids of jobs that have to have ended before this one begins",
        examples=[["job_01JZ8M3N5K7Q9R2T4V6X8Y0ZAB"]],
    )
    on_parent_failure: OnParentFailure = Field(
        "fail",
        description="What to do if one of them fails or is cancelled: fail as well, skip (be cancelled), or continue",
    )
    concurrency_key: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Of your jobs with the same key, whatever their type, only `concurrencyLimit` run at a time",
        examples=["customer-17"],
    )
    concurrency_limit: int | None = Field(
        None, strict=True, ge=1, le=100_000, description="How many, if not one", examples=[2]
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse what contradicts itself."""
        if self._says_nothing():
            return self
        if self.concurrency_limit is not None and self.concurrency_key is None:
            raise ValueError("concurrencyLimit is of a concurrencyKey: say that too, or leave it out")
        if self.delay is not None and self.run_at is not None:
            raise ValueError("delay and runAt both say when to begin: leave one out")
        if self.ttl is not None and self.expires_at is not None:
            raise ValueError("ttl and expiresAt both say when the job expires: leave one out")
        if self.delay is not None and self.ttl is not None and self.ttl <= self.delay:
            raise ValueError("ttl counts from the submission and has to be longer than delay")
        if self.delay is not None and isinstance(self.deadline, int) and self.deadline <= self.delay:
            raise ValueError("deadline counts from the submission and has to be longer than delay")
        if self.run_at is not None and self.expires_at is not None and self.expires_at <= self.run_at:
            raise ValueError("expiresAt has to be later than runAt")
        if self.run_at is not None and isinstance(self.deadline, datetime) and self.deadline <= self.run_at:
            raise ValueError("deadline has to be later than runAt")
        return self

    def words(self, *, series: str = "", **more: Any) -> bytes:
        """Return the terms, and `more`, as create() of the Lua scripts reads them: JSON, or nothing without any."""
        if not (series or more) and self._says_nothing():
            return b""  # like most; what follows costs a tenth of a submission
        is_span = isinstance(self.deadline, int)
        found = {
            "delay": self.delay or None,
            "runAt": _ms(self.run_at),
            "ttl": self.ttl,
            "expiresAt": _ms(self.expires_at),
            "within": self.deadline if is_span else None,
            "deadline": None if is_span else _ms(self.deadline),
            "unique": self.unique_key,
            "series": series or None,
            "concurrency": f"{self.concurrency_limit or 1} {self.concurrency_key}" if self.concurrency_key else None,
            "dependsOn": list(dict.fromkeys(self.depends_on)) or None,
            **more,
        }
        said = {name: value for name, value in found.items() if value is not None}
        if "dependsOn" in said and self.on_parent_failure != "fail":
            said["onParent"] = self.on_parent_failure
        return orjson.dumps(said) if said else b""

    def _says_nothing(self) -> bool:
        return _TERMS.isdisjoint(self.model_fields_set)


_TERMS: Final = frozenset(Terms.model_fields)


def _ms(moment: datetime | int | None) -> int | None:
    return round(moment.timestamp() * 1000) if isinstance(moment, datetime) else moment
