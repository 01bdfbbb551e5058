"""The guard: who may use the API, decided once for every route.

With API_KEY or API_KEYS every call must bring a key. Without, only programs on this machine are served: the peer must
be loopback, and since a web page that the user visits runs on this machine too, the Host header must name this machine
(DNS rebinding gives a page any other name for it) and the browser must not say that the request comes from another
origin.
"""

from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import parse_qs

from api.answers import Answer, Header
from api.problems import RequestError
from workplatform.apikeys import DEFAULT, name_of
from workplatform.settings import Settings

Environ = Mapping[str, Any]

_HEALTH = ("/health", "/healthz", "/readyz")
PUBLIC_PATHS = frozenset({"/", "/dashboard.js", "/dashboard.css", *_HEALTH, *(f"/api{path}" for path in _HEALTH)})
EVENTS_PATH = "/api/events"
_CALLER = "workplatform.caller"

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PREFLIGHT: tuple[Header, ...] = (
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Content-Digest, Content-MD5, Content-Range, Content-Type, Digest, If-Match, If-Modified-Since, "
        "If-None-Match, If-Range, If-Unmodified-Since, Last-Event-ID, Range, Repr-Digest, X-API-Key",
    ),
    ("Access-Control-Max-Age", "600"),
)


class Guard:
    """Lets requests in, or raises RequestError."""

    def __init__(self, settings: Settings) -> None:
        self._keys = settings.keys
        self._origins = frozenset(settings.cors_origins)

    def check(self, environ: MutableMapping[str, Any]) -> None:
        """Note who calls, for caller_of(); raise RequestError (401 or 403) if it may not have what it asks for."""
        if environ["PATH_INFO"] in PUBLIC_PATHS:
            return
        if self._keys:
            environ[_CALLER] = self._required_key(environ)
        else:
            _require_local(environ)

    def preflight(self, environ: Environ) -> Answer | None:
        """Answer a browser that asks whether a page of another origin may call; None if this is not that."""
        if environ["REQUEST_METHOD"] != "OPTIONS" or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ:
            return None
        allowed = self.cors_headers(environ)
        if not allowed:
            raise RequestError(HTTPStatus.FORBIDDEN, "this origin may not call the API: see CORS_ORIGINS")
        return Answer(HTTPStatus.NO_CONTENT, headers=_PREFLIGHT)

    def cors_headers(self, environ: Environ) -> tuple[Header, ...]:
        """Return what lets a page of an allowed origin read the answer."""
        origin = environ.get("HTTP_ORIGIN")
        if not origin or not self._keys or not ({origin, "*"} & self._origins):
            return ()
        return (
            ("Access-Control-Allow-Origin", origin),
            (
                "Access-Control-Expose-Headers",
                "Accept-Ranges, Content-Disposition, Content-Range, ETag, Location, Range, Retry-After",
            ),
            ("Vary", "Origin"),
        )

    def _required_key(self, environ: Environ) -> str:
        """Return the name of the key that the call brings."""
        given = _given_key(environ)
        if given is None:
            raise _unauthorized("this API needs a key: send Authorization: Bearer KEY or X-API-Key: KEY")
        name = name_of(given, self._keys)
        if name is None:
            raise _unauthorized("the API key is wrong")
        return name


def caller_of(environ: Environ) -> str:
    """Return the name of the API key that a request brought."""
    return str(environ.get(_CALLER, DEFAULT))


def _given_key(environ: Environ) -> bytes | None:
    scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        return _bytes(credentials.strip())
    if "HTTP_X_API_KEY" in environ:
        return _bytes(environ["HTTP_X_API_KEY"])
    if environ["PATH_INFO"] == EVENTS_PATH:
        # EventSource cannot send headers. Only here: a query ends up in logs and histories.
        tokens = parse_qs(environ.get("QUERY_STRING", "")).get("token")
        return tokens[0].encode() if tokens else None
    return None


def _bytes(header: str) -> bytes:
    """Undo WSGI's reading of header bytes as latin-1."""
    return header.encode("latin-1", "replace")


def _unauthorized(sentence: str) -> RequestError:
    return RequestError(HTTPStatus.UNAUTHORIZED, sentence, headers=(("WWW-Authenticate", "Bearer"),))


def _require_local(environ: Environ) -> None:
    if not _is_loopback(environ.get("REMOTE_ADDR", "")):
        raise RequestError(HTTPStatus.FORBIDDEN, "without API_KEY only this machine may use the API")
    host = environ.get("HTTP_HOST", "").lower()
    if _name(host) not in _LOCAL_NAMES:
        raise RequestError(HTTPStatus.FORBIDDEN, "without API_KEY the API must be called as localhost or 127.0.0.1")
    origin = environ.get("HTTP_ORIGIN")
    is_foreign = origin is not None and origin.lower().partition("://")[2] != host
    if is_foreign or environ.get("HTTP_SEC_FETCH_SITE") == "cross-site":
        raise RequestError(HTTPStatus.FORBIDDEN, "without API_KEY pages of other origins may not use the API")


def _name(host: str) -> str:
    """Return a Host header without its port."""
    name, bracket, _ = host.partition("]") if host.startswith("[") else (host.partition(":")[0], "", "")
    return name + bracket


@lru_cache
def _is_loopback(address: str) -> bool:
    """Whether a peer is this machine; a Unix socket's peer has no address."""
    if not address:
        return True
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    mapped = peer.ipv4_mapped if isinstance(peer, IPv6Address) else None
    return (mapped or peer).is_loopback
