"""What the worker asks of the driver and what it is told, as lines of JSON on standard input and output."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Order:
    """Visit a page: through which proxy, with what, and for how long at most (seconds).

    `headers` and the cookies that name no domain go to `hosts` only. `limit_s` bounds the visit; `quiet_s` is how long
    nothing must have happened for the page to count as done, `patience_s` the same while no cookie has come for the
    file or requests are still open.
    """

    id: str
    url: str
    file_url: str
    proxy: str
    referer: str | None = None
    user_agent: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hosts: list[str] = field(default_factory=list)
    cookies: list[dict[str, Any]] = field(default_factory=list)
    limit_s: float = 30.0
    quiet_s: float = 1.5
    patience_s: float = 5.0


@dataclass(slots=True)
class Told:
    """How a visit ended: the page that was there last, and what it left behind.

    `failure` says why there was no page. `url` is the document that was asked for last, redirects followed.
    """

    id: str
    url: str
    status: int = 0
    title: str = ""
    failure: str = ""
    is_challenge: bool = False
    cookies: list[dict[str, Any]] = field(default_factory=list)
    user_agent: str = ""
