"""The one way out: HTTP sessions that connect to permitted addresses only and end when their job does.

A host is resolved here, and the socket goes to the very address that was checked: there is no second look-up that
could answer otherwise (DNS rebinding). The Host header, SNI and the certificate's check stay on the name. Redirects
connect through here as well.
"""

import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import cached_property
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from workplatform import __version__
from workplatform.errors import UrlForbiddenError
from workplatform.sockets import Candidate, PatientSocket, PatientTls, Watch, no_watch, resolve
from workplatform.urls import UrlPolicy

USER_AGENT: Final = f"WorkPlatform/{__version__}"

# Connecting, and each wait for data: for a caller that names no timeout, since requests would wait for ever.
_TIMEOUTS_S: Final = (5.0, 30.0)


class Outbound:
    """Makes sessions that obey one policy (`UrlPolicy` has the parameters). Thread-safe; a session is for one thread.

    Raises SettingsError for an entry of `allowed_hosts` that is no name, address or CIDR.
    """

    def __init__(self, *, allowed_hosts: Iterable[str], allow_loopback: bool) -> None:
        self.allowed_hosts = tuple(allowed_hosts)
        self.allow_loopback = allow_loopback
        self._policy = UrlPolicy(allowed_hosts=self.allowed_hosts, allow_loopback=allow_loopback)

    def with_hosts(self, hosts: Iterable[str]) -> "Outbound":
        """Return one that may call these hosts too."""
        return Outbound(allowed_hosts=(*self.allowed_hosts, *hosts), allow_loopback=self.allow_loopback)

    def check(self, url: str) -> None:
        """Refuse a URL that shows at a glance that it must not be called; raises UrlForbiddenError."""
        self._policy.check(url)

    def session(self, *, watch: Watch = no_watch, within: timedelta | None = None) -> requests.Session:
        """Return a session for one attempt.

        `watch` is called a few times a second while the session waits for the network, in the waiting thread; what it
        raises ends the request. `within`, counted from now, bounds everything that the session does: then requests
        raises its timeouts. A URL or address that is not permitted raises UrlForbiddenError. Proxies, netrc and other
        settings of the environment are not used; certificates are always checked, against certifi's authorities and
        the system's (or those of SSL_CERT_FILE).
        """
        session = _Session()
        session.trust_env = False
        session.headers["User-Agent"] = USER_AGENT
        door = _Door(self._policy, watch, within)
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(self, door))
        return session

    def connect(self, host: str, port: int, *, watch: Watch = no_watch, within: timedelta) -> socket.socket:
        """Return a plain connection to a permitted address of a host, for what is not a session's business.

        Raises UrlForbiddenError, OSError, UnicodeError, and what `watch` raises while it waits.
        """
        door = _Door(self._policy, watch, within)
        return socket.socket(fileno=door.open(host, port, timeout_s=within.total_seconds(), options=None).detach())

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """The TLS settings of every session, made at the first need: reading the authorities takes some 20 ms."""
        context = PatientTls(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_default_certs()
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        return context


class _Session(requests.Session):
    """A session that reads no redirect's body, however long it is, and knows a redirect to what is no URL."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where an answer leads to; raises requests' InvalidURL."""
        try:
            target = super().get_redirect_target(resp)
            urlsplit(target or "")
        except ValueError as error:
            resp.close()
            raise requests.exceptions.InvalidURL("a redirect leads to what is no URL") from error
        return target

    def resolve_redirects(self, resp: requests.Response, *args: Any, **kwargs: Any) -> Any:
        """Follow redirects; each answer is closed unread, where requests would have all of it in memory."""
        if resp.is_redirect:
            resp.close()
            resp._content = b""
        return super().resolve_redirects(resp, *args, **kwargs)


def failure_reason(error: Exception) -> str:
    """Say in a few words of a person's language why a request got no answer, or not all of it."""
    cause: object = error
    if isinstance(error, requests.RequestException) and error.args:
        cause = getattr(error.args[0], "reason", error.args[0])
    if isinstance(cause, _NoAddressError):
        return "its name cannot be resolved"
    if isinstance(cause, NewConnectionError):
        return f"no connection: {_in_words(cause.__cause__ or cause)}"
    if isinstance(cause, ConnectTimeoutError):
        return "no connection in time"
    # urllib3 wraps a timeout while sending as a broken connection, and requests one while reading the body.
    if isinstance(error, requests.Timeout) or isinstance(cause, ReadTimeoutError) or _is_timeout(cause):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return f"no secure connection: {cause}"
    if isinstance(cause, ProtocolError) and cause.args:
        cause = cause.args[-1]  # what urllib3 has wrapped
    return f"the connection broke: {_in_words(cause)}"


def _in_words(cause: object) -> str:
    return cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)


def _is_timeout(cause: object) -> bool:
    return isinstance(cause, ProtocolError) and any(isinstance(part, TimeoutError) for part in cause.args)


class _NoAddressError(NewConnectionError):
    """A host's name leads to no address; urllib3 has a name for it only from version 2 on."""


class _Door:
    """What the connections of one session need: the policy, and how long to wait."""

    def __init__(self, policy: UrlPolicy, watch: Watch, within: timedelta | None) -> None:
        self.policy = policy
        self._watch = watch
        self._deadline = None if within is None else time.monotonic() + within.total_seconds()

    def look(self) -> None:
        """Raise the reason to stop waiting, if there is one."""
        self._watch()
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise TimeoutError("the time for this request is over")

    def open(self, host: str, port: int, *, timeout_s: float | None, options: Any) -> socket.socket:
        """Connect to the first permitted address of a host that answers; raises UrlForbiddenError if none is."""
        failure: Exception | None = None
        for candidate in self._permitted(host, resolve(host.strip("[]"), port, timeout_s=timeout_s, watch=self.look)):
            try:
                sock = self._connected(candidate, timeout_s, options)
            except OSError as error:
                self.look()
                failure = error
            else:
                sock.host = host.strip("[]")
                return sock
        raise failure or OSError("the name has no address")

    def _permitted(self, host: str, candidates: Sequence[Candidate]) -> Iterator[Candidate]:
        refusal: UrlForbiddenError | None = None
        is_any = False
        for candidate in candidates:
            try:
                self.policy.check_address(host, ip_address(candidate[4][0]))
            except UrlForbiddenError as error:
                refusal = error
                continue
            is_any = True
            yield candidate
        if refusal and not is_any:
            raise refusal

    def _connected(self, candidate: Candidate, timeout_s: float | None, options: Any) -> PatientSocket:
        family, kind, protocol, _, address = candidate
        sock = PatientSocket(family, kind, protocol)
        try:
            sock.watch = self.look
            for option in options or ():
                sock.setsockopt(*option)
            sock.settimeout(timeout_s)
            sock.connect(address)
        except BaseException:
            sock.close()
            raise
        return sock


class _Guarded(HTTPConnection):
    """A connection that goes through the door."""

    def __init__(self, *args: Any, door: _Door, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._door = door

    def _new_conn(self) -> socket.socket:
        try:
            return self._door.open(self._dns_host, self.port, timeout_s=self._timeout_s(), options=self.socket_options)
        except socket.gaierror as error:
            raise _NoAddressError(self, f"{self.host} cannot be resolved: {error}") from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"no connection to {self.host} in time") from error
        except OSError as error:
            raise NewConnectionError(self, f"no connection: {error}") from error
        except UnicodeError as error:
            raise UrlForbiddenError(f"{self.host!r} is not a host name") from error

    def _timeout_s(self) -> float | None:
        return self.timeout if isinstance(self.timeout, (int, float)) else None


class _GuardedTls(_Guarded, HTTPSConnection):
    """The same with TLS on top."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Guarded


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTls


class _Pools(PoolManager):
    """Hands the door to every pool, so that no connection can be made past it."""

    def __init__(self, door: _Door, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        self._door = door

    def _new_pool(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = super()._new_pool(*args, **kwargs)
        pool.conn_kw["door"] = self._door
        return pool


class _Adapter(HTTPAdapter):
    """Requests' transport over guarded connections."""

    def __init__(self, outbound: Outbound, door: _Door) -> None:
        self._outbound = outbound
        self._door = door
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        """Make the guarded pools."""
        self.poolmanager = _Pools(self._door, num_pools=connections, maxsize=maxsize, block=block, **kwargs)

    def proxy_manager_for(self, proxy: str, **_kwargs: Any) -> Any:
        """Refuse: a proxy would resolve and connect in our place."""
        raise UrlForbiddenError(f"requests never go through a proxy, such as {proxy}")

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Take the host from the request and everything about TLS from us."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] != "https":
            return host, {}
        return host, {"ssl_context": self._outbound.tls, "cert_reqs": "CERT_REQUIRED"}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the pool as it is: certificates are checked whatever `verify` says."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Check the URL, redirects' too, and send."""
        self._door.policy.check(request.url or "")
        self._door.look()
        kwargs["timeout"] = kwargs.get("timeout") or _TIMEOUTS_S
        return super().send(request, *args, **kwargs)
