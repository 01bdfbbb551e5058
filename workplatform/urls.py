"""Which URLs the platform may call: public addresses, and what ALLOWED_HOSTS adds to them."""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import structlog
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from workplatform.errors import SettingsError, UrlForbiddenError

Address = IPv4Address | IPv6Address

_LOOPBACK: Final = "a loopback"

# Not reachable from the internet, or not one host: the IANA special-purpose registries (RFC 6890, 8190) without the
# blocks that are global, plus Azure's host agent, a public address that answers inside each virtual machine.
_REFUSED_V4: Final = tuple(
    (ip_network(block), kind)
    for block, kind in (
        ("127.0.0.0/8", _LOOPBACK),
        ("169.254.0.0/16", "a link-local"),
        ("10.0.0.0/8", "a private"),
        ("172.16.0.0/12", "a private"),
        ("192.168.0.0/16", "a private"),
        ("100.64.0.0/10", "a carrier-private"),
        ("0.0.0.0/8", "an unspecified"),
        ("192.0.0.0/24", "a reserved"),
        ("192.0.2.0/24", "a documentation"),
        ("192.88.99.0/24", "a reserved"),
        ("198.18.0.0/15", "a benchmarking"),
        ("198.51.100.0/24", "a documentation"),
        ("203.0.113.0/24", "a documentation"),
        ("224.0.0.0/4", "a multicast"),
        ("240.0.0.0/4", "a reserved"),
        ("168.63.129.16/32", "a cloud host's"),
    )
)
# In IPv6 only 2000::/3 is handed out. Teredo and 6to4 hide an IPv4 address and are retired (RFC 7526): no server needs
# them.
_REFUSED_V6: Final = tuple(
    (ip_network(block), kind)
    for block, kind in (
        ("::1/128", _LOOPBACK),
        ("::/128", "an unspecified"),
        ("fe80::/10", "a link-local"),
        ("fc00::/7", "a private"),
        ("fec0::/10", "a private"),
        ("ff00::/8", "a multicast"),
        ("2001::/32", "a Teredo"),
        ("2002::/16", "a 6to4"),
        ("2001::/23", "a reserved"),
        ("2001:db8::/32", "a documentation"),
        ("3fff::/20", "a documentation"),
    )
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
# DNS64 gives every IPv4 host an address in here (RFC 6052); what counts is the IPv4 address inside.
_NAT64: Final = IPv6Network("64:ff9b::/96")
_V4_BITS: Final = 0xFFFF_FFFF

_log = structlog.get_logger()


class UrlPolicy:
    """The rules for outgoing requests. Immutable, safe to share.

    `allowed_hosts` holds names, addresses and CIDRs that may be called whatever they resolve to; with `allow_loopback`
    the machine itself may be called too. Raises SettingsError for an entry that is none of these.
    """

    def __init__(self, *, allowed_hosts: Iterable[str], allow_loopback: bool) -> None:
        entries = [entry.strip() for entry in allowed_hosts]
        networks = {entry: _network(entry) for entry in entries}
        self._networks = tuple(network for network in networks.values() if network is not None)
        self._names = frozenset(_allowed_name(entry) for entry, network in networks.items() if network is None)
        self._allow_loopback = allow_loopback

    def check(self, url: str) -> None:
        """Refuse what a look at the URL shows to be wrong; nothing is resolved.

        A name passes here even if it leads to a private address: that is seen when the request connects. Raises
        UrlForbiddenError.
        """
        host = plain_name(http_url(url).host or "")
        if literal := _literal(host):
            self.check_address(host, literal)
        elif host == "localhost" or host.endswith(".localhost"):
            self.check_address(host, IPv4Address("127.0.0.1"))

    def check_address(self, host: str, address: Address) -> None:
        """Refuse an address, about to be connected to, that `host` resolved to; raises UrlForbiddenError."""
        plain = _unwrapped(address)
        kind = _refused_kind(plain)
        if kind is None or self._is_allowed(host, address, plain) or (kind == _LOOPBACK and self._allow_loopback):
            return
        # The address goes to the operator's log only: a caller must not be able to read internal DNS from errors.
        _log.warning("url_refused", host=host, address=str(address))
        raise UrlForbiddenError(
            f"{plain_name(host)} has {kind} address, which the platform does not call; "
            "the operator can add it to ALLOWED_HOSTS",
            host=plain_name(host),
        )

    def _is_allowed(self, host: str, *addresses: Address) -> bool:
        if plain_name(host) in self._names:
            return True
        return any(address in network for address in addresses for network in self._networks)


def http_url(url: str) -> Url:
    """Read a URL with the parser that requests are made with, so that both see the same host.

    Raises UrlForbiddenError unless it is http or https, names a host, and carries no user name or password.
    """
    if any(character.isspace() or not character.isprintable() for character in url):
        raise UrlForbiddenError("the URL must not contain spaces or control characters")
    try:
        parts = parse_url(url)
    except LocationParseError as error:
        raise UrlForbiddenError("the URL cannot be read") from error
    if parts.scheme not in ("http", "https"):
        raise UrlForbiddenError("the URL must start with http:// or https://")
    host = plain_name(parts.host or "")
    if not host:
        raise UrlForbiddenError("the URL names no host")
    if parts.auth is not None:
        raise UrlForbiddenError(f"the URL of {host} must not carry a user name or password")
    return parts


def plain_name(host: str) -> str:
    """Return a host in the form in which hosts compare: lower case, no brackets, no trailing dot."""
    return host.strip("[]").lower().rstrip(".")


def _literal(host: str) -> Address | None:
    """Return the address that a host spells, also in the old spellings 127.1, 0x7f000001, 0177.0.0.1 and 2130706433."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & _V4_BITS)
    return address


def _refused_kind(address: Address) -> str | None:
    blocks = _REFUSED_V4 if isinstance(address, IPv4Address) else _REFUSED_V6
    for block, kind in blocks:
        if address in block:
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        return "a reserved"
    return None


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def _allowed_name(entry: str) -> str:
    try:
        name = plain_name(entry).encode("idna").decode()
    except UnicodeError:
        name = ""
    if not name or not set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_."):
        raise SettingsError(
            f"ALLOWED_HOSTS: {entry!r} is not a name, an address or a CIDR (no scheme, port or wildcard)"
        )
    return name
