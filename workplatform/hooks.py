"""Hooks: which URLs a submission wants to be told, of what, and how."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from workplatform.errors import UrlForbiddenError
from workplatform.headers import check_headers
from workplatform.models import SECRET, WireModel
from workplatform.urls import http_url

Bulletin = Literal["started", "progress"]
Ending = Literal["completed", "failed", "cancelled"]
Event = Literal[Bulletin, Ending]
ENDINGS: Final[tuple[Ending, ...]] = ("completed", "failed", "cancelled")


def _http_url(url: str) -> str:
    try:
        http_url(url)
    except UrlForbiddenError as error:
        raise ValueError(error.message) from error
    return url


Url = Annotated[str, Field(max_length=2000), AfterValidator(_http_url)]
Headers = Annotated[dict[str, str], AfterValidator(check_headers)]


class Hook(WireModel):
    """A receiver of what happens to a job; a bare URL is one that is told of every ending."""

    url: Url = Field(description="URL that is told, by POST", examples=["https://example.com/hooks/job-done"])
    events: tuple[Event, ...] = Field(
        ENDINGS,
        min_length=1,
        description="What to be told of: endings, each start of an attempt, progress (at most once a second)",
        examples=[["started", "completed", "failed"]],
    )
    headers: Headers = Field(
        default_factory=dict, max_length=50, description="Further headers; shown masked", json_schema_extra=SECRET
    )
    secret_name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="Which of the operator's webhook secrets signs; default: WEBHOOK_SECRET, if there is one",
        examples=["shop"],
    )
    format: Literal["job", "standard"] = Field(
        "job", description="The body: what is told as it is, or as the `data` of an envelope of Standard Webhooks"
    )

    @property
    def said(self) -> str | dict[str, Any]:
        """What the caller said, and only that: a URL, or an object."""
        said = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return self.url if said.keys() == {"url"} else said

    def wants(self, event: str) -> bool:
        """Whether the receiver is to be told of it."""
        return event in self.events


def _from_url(value: Any) -> Any:
    if not isinstance(value, str | Mapping | Hook):
        raise ValueError("must be a URL, or an object with a url")
    return {"url": value} if isinstance(value, str) else value


HookOrUrl = Annotated[Hook, BeforeValidator(_from_url)]
