"""The bases of every payload and result, and the wire's spelling."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

# For a field's json_schema_extra: its value is taken, kept for the worker, and shown masked everywhere (JSON Schema).
SECRET: Final[dict[str, JsonValue]] = {"writeOnly": True}
# For an output's json_schema_extra: where its name is made of the input's, it gets the extension of the first example.
NAMED_AFTER_EXAMPLE: Final[dict[str, JsonValue]] = {"x-namedAfterExample": True}

# A word of the caller's own, by which jobs and groups of them are found again.
Tag = Annotated[str, Field(min_length=1, max_length=100)]


class WireModel(BaseModel):
    """A value that crosses the wire: camelCase outside, snake_case inside, immutable, no unknown fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
    )


class Payload(WireModel):
    """What a job type takes. Every field needs a description; examples show up in docs and forms."""


class Result(WireModel):
    """What a job type gives back. `success` is there for clients that look at nothing else."""

    success: Literal[True] = True
