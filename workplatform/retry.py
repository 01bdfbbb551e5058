"""Retry policies: how often, and after which wait, a failed attempt is tried again."""

import random
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Backoff = Literal["exponential", "linear", "fixed"]


class RetryPolicy(BaseModel):
    """The specification's retryPolicy; all delays are milliseconds.

    With initialDelay = d the waits are d, 2d, 4d, ... (exponential), d, 2d, 3d, ... (linear) or d, d, d (fixed),
    never above maxDelay. `jitter` is the share of each wait, 0 to 1, that is drawn at random, so that jobs
    which failed together do not return together.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    max_retries: int = Field(default=3, ge=0, le=100, description="Retries after the first attempt")
    backoff: Backoff = Field(default="exponential", description="How the wait grows")
    initial_delay: int = Field(default=1000, ge=0, le=86_400_000, description="First wait in milliseconds")
    max_delay: int = Field(default=3_600_000, ge=0, le=7 * 86_400_000, description="Longest wait in milliseconds")
    jitter: float = Field(default=0.0, ge=0.0, le=1.0, description="Share of the wait that is random, 0 to 1")

    def delay(self, retry: int, *, draw: float | None = None) -> timedelta:
        """Return the wait before the given retry, counted from 1; `draw` in [0, 1) replaces the random number."""
        factor = {"exponential": 2.0 ** min(retry - 1, 64), "linear": float(retry), "fixed": 1.0}[self.backoff]
        wait_ms = min(self.initial_delay * factor, self.max_delay)
        chance = random.random() if draw is None else draw  # noqa: S311 - spreads load, guards nothing
        return timedelta(milliseconds=wait_ms * (1 - self.jitter * chance))
