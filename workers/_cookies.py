"""Cookies that callers give, and to which URLs each is sent (RFC 6265)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from workplatform.headers import is_header_value
from workplatform.urls import plain_name

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\x20\x21\x23-\x2b\x2d-\x3a\x3c-\x7e\x80-\xff\",]*")


class CookieObject(BaseModel):
    """A cookie as browsers export it; what else an export says is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(description="Its name", examples=["session"])
    value: str = Field(description="Its value", examples=["8f3a"])
    domain: str | None = Field(
        None, description="Host that gets it; with a leading dot its subdomains too; default: the file's own host"
    )
    path: str = Field("/", description="Paths that get it start with this", examples=["/"])
    secure: bool = Field(default=False, description="Whether only https gets it")


CookieForms = str | tuple[CookieObject, ...] | dict[str, str]


@dataclass(frozen=True, slots=True)
class Cookies:
    """The cookies of one download; those without a domain belong to the host of its first URL."""

    home: str
    given: tuple[CookieObject, ...]

    def header(self, url: str, *, is_home: bool, learned: Mapping[str, str]) -> str:
        """Return the Cookie header for a URL; what servers have set since, `learned`, wins. Empty if there is none.

        Without `is_home`, a redirect has led away from the first host: only a cookie that names another host's domain
        is sent there.
        """
        pairs = {cookie.name: cookie.value for cookie in self.given if self._is_for(cookie, url, is_home=is_home)}
        return "; ".join(f"{name}={value}" for name, value in {**pairs, **learned}.items())

    def _is_for(self, cookie: CookieObject, url: str, *, is_home: bool) -> bool:
        parts = urlsplit(url)
        host = plain_name(parts.hostname or "")
        path = parts.path or "/"
        if (cookie.secure and parts.scheme != "https") or not (is_home or (cookie.domain and host != self.home)):
            return False
        if path != cookie.path and not path.startswith(cookie.path.rstrip("/") + "/"):
            return False
        domain = plain_name(cookie.domain or self.home)
        if domain.startswith("."):
            return host == domain[1:] or (host.endswith(domain) and not _is_address(host))
        return host == domain


def read_cookies(given: CookieForms | None) -> tuple[CookieObject, ...]:
    """Return the cookies of any of the three forms: a Cookie header's text, objects, or a mapping.

    Raises ValueError, never repeating a value, for what cannot be sent.
    """
    if given is None:
        return ()
    if isinstance(given, str):
        if not is_header_value(given.strip()):
            raise ValueError("the cookies have characters that a header cannot carry")
        pairs = (part.strip().partition("=") for part in given.split(";") if part.strip())
        return _checked(CookieObject(name=name.strip(), value=value.strip()) for name, _, value in pairs)
    if isinstance(given, dict):
        return _checked(CookieObject(name=name, value=value) for name, value in given.items())
    return _checked(given)


def _checked(cookies: Iterable[CookieObject]) -> tuple[CookieObject, ...]:
    found = tuple(cookies)
    for number, cookie in enumerate(found):
        if not _NAME.fullmatch(cookie.name):
            raise ValueError(f"cookie {number + 1} has no name that can be sent; write name=value")
        if not _VALUE.fullmatch(cookie.value):
            raise ValueError(f"the value of cookie {cookie.name} has characters that a cookie cannot carry")
    return found


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
