"""What the worker asks of the driver and what it is told, as lines of JSON on standard input and output."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a page is waited for, in seconds.

    `limit_s` bounds the loading, and then the challenge. A page is done when nothing has happened for `quiet_s`, or for
    `patience_s` while no cookie has come for the file or requests are still open.
    """

    limit_s: float = 30.0
    quiet_s: float = 1.5
    patience_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Order:
    """Visit a page: through which proxy, with what, and how patiently.

    `headers` go to `hosts` only.
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
    waits: Waits = field(default_factory=Waits)

    @classmethod
    def read(cls, fields: dict[str, Any]) -> "Order":
        """Make an order of what asdict() has made of one."""
        return cls(**fields | {"waits": Waits(**fields["waits"])})


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
