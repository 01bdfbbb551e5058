"""Limits: what one says, how its text is read, and what it means to the scripts."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from workplatform.errors import SettingsError
from workplatform.models import WireModel

PREFIX: Final = "LIMIT_"
_MOST: Final = 100_000
_UNITS_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_RATE: Final = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,3})?([smhd])")
_A_RATE: Final = "a rate is like 10/s, 100/m or 5/10s (units s, m, h, d)"
_A_LIMIT: Final = 'a limit is like "4" (at a time), "10/s" (a rate), "4, 10/s" or "4, 10/s, burst 2"'
_OF_KEY: Final = "key-"


class Limit(WireModel):
    """The body of PUT /api/limits/...: how many at a time, and how many in a span of time. Without either: no limit."""

    concurrency: Annotated[int, Field(strict=True, ge=1, le=_MOST)] | None = Field(
        None, description="Jobs that run at a time, over the whole fleet", examples=[4]
    )
    rate: str | None = Field(None, description="Jobs that begin in a span of time", examples=["10/s"])
    burst: Annotated[int, Field(strict=True, ge=1, le=_MOST)] | None = Field(
        None,
        description="Jobs that may begin at once after a quiet time; default: the number of the rate",
        examples=[2],
    )

    @field_validator("rate")
    @classmethod
    def _is_rate(cls, value: str | None) -> str | None:
        if value is not None and not _RATE.fullmatch(value):
            raise ValueError(_A_RATE)
        return value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.burst is not None and self.rate is None:
            raise ValueError("burst is of a rate: say a rate too, or leave it out")
        return self

    @property
    def rule(self) -> str:
        """The limit as limit_of() of the scripts reads it."""
        most = "-" if self.concurrency is None else str(self.concurrency)
        match = _RATE.fullmatch(self.rate or "")
        if match is None:
            return f"{most} - -"
        number = int(match[1])
        interval_ms = int(match[2] or 1) * _UNITS_MS[match[3]] / number
        return f"{most} {interval_ms!r} {interval_ms * ((self.burst or number) - 1)!r}"

    def __str__(self) -> str:
        parts = [str(self.concurrency) if self.concurrency else "", self.rate or ""]
        parts.append(f"burst {self.burst}" if self.burst else "")
        return ", ".join(filter(None, parts)) or "none"

    def stored(self) -> dict[str, Any]:
        """Return what the store keeps."""
        return {**self.model_dump(by_alias=True, exclude_none=True), "rule": self.rule}


def read_limit(text: str) -> Limit:
    """Read `4`, `10/s`, `4, 10/s` and the like; raises ValueError that says the mend."""
    said: dict[str, Any] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        burst = re.fullmatch(r"burst (\d{1,9})", part)
        number = re.fullmatch(r"\d{1,9}", part)
        field = "burst" if burst else "concurrency" if number else "rate"
        if field in said:
            raise ValueError(f"says {field} twice; {_A_LIMIT}")
        said[field] = int(burst[1]) if burst else int(part) if number else part
    if not said:
        raise ValueError(_A_LIMIT)
    try:
        return Limit.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{first['msg'].removeprefix('Value error, ')}; {_A_LIMIT}") from error


def configured_limits(
    settings: Mapping[str, Limit], *, types: Collection[str], keys: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return the limits that `LIMIT_...` settings name, as the store names and keeps them.

    The settings are named as in the environment, without the prefix, in lower case, with hyphens. Raises SettingsError
    for those that are for no type and no API key.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, limit in settings.items():
        key = name.removeprefix(_OF_KEY)
        if name.startswith(_OF_KEY) and key in keys:
            found[f"key:{key}"] = limit.stored()
        elif name in types:
            found[f"type:{name}"] = limit.stored()
        else:
            shown = PREFIX + name.replace("-", "_").upper()
            raise SettingsError(
                f"{shown}: there is no such job type or API key; types are {', '.join(sorted(types))}; keys, for "
                f"{PREFIX}KEY_..., are {', '.join(sorted(keys))}"
            )
    return found
