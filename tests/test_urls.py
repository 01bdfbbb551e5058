"""Which URLs and addresses are permitted."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workplatform.errors import SettingsError, UrlForbiddenError
from workplatform.urls import UrlPolicy, http_url

STRICT = UrlPolicy(allowed_hosts=(), allow_loopback=False)
ADDRESSES_V4 = st.ip_addresses(v=4)  # prefers the special blocks


def permits(policy: UrlPolicy, host: str, address: str | None = None) -> bool:
    try:
        policy.check_address(host, ip_address(address or host))
    except UrlForbiddenError:
        return False
    return True


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 - on Linux a connection to it reaches the machine itself
        ("0.1.2.3", "unspecified"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("169.254.169.254", "link-local"),
        ("100.64.0.1", "carrier-private"),
        ("100.100.100.200", "carrier-private"),
        ("192.0.0.192", "reserved"),
        ("198.18.0.1", "benchmarking"),
        ("203.0.113.9", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("168.63.129.16", "cloud host's"),
        ("::1", "loopback"),
        ("::", "unspecified"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fc00::1", "private"),
        ("fd00:ec2::254", "private"),
        ("fec0::1", "private"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "documentation"),
        ("2001:0:a00:1::1", "Teredo"),
        ("2002:a00:1::1", "6to4"),
        ("2002:808:808::1", "6to4"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::10.0.0.1", "reserved"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:1::a00:1", "reserved"),
        ("4000::1", "reserved"),
    ],
)
def test_an_address_that_is_not_public_is_refused_with_its_kind(address: str, kind: str) -> None:
    with pytest.raises(UrlForbiddenError, match=rf"hooks\.example has an? {kind} address.*ALLOWED_HOSTS"):
        STRICT.check_address("hooks.example", ip_address(address))


def test_the_refusal_of_a_name_does_not_tell_the_address_it_resolved_to() -> None:
    with pytest.raises(UrlForbiddenError) as refusal:
        STRICT.check_address("db.corp.example", IPv4Address("10.20.30.40"))
    assert "10.20" not in refusal.value.message
    assert not refusal.value.retryable


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.0.1", "192.169.0.1"),
        *("2606:4700::1111", "2a00:1450:4001::8a", "::ffff:8.8.8.8", "64:ff9b::808:808"),
    ],
)
def test_a_public_address_is_permitted(address: str) -> None:
    assert permits(STRICT, "hooks.example", address)


@settings(deadline=None)
@given(ADDRESSES_V4)
def test_an_ipv4_address_inside_ipv6_is_judged_as_itself(address: IPv4Address) -> None:
    as_itself = permits(STRICT, str(address))
    assert permits(STRICT, str(IPv6Address(f"::ffff:{address}"))) == as_itself
    assert permits(STRICT, str(IPv6Address(f"64:ff9b::{address}"))) == as_itself


@settings(deadline=None)
@given(ADDRESSES_V4)
def test_a_numeric_spelling_in_a_url_is_judged_as_its_address(address: IPv4Address) -> None:
    number, parts = int(address), address.packed
    spellings = [
        str(number),
        hex(number),
        f"{parts[0]}.{number & 0xFFFFFF}",
        f"{parts[0]:#x}.{parts[1]:#x}.{number & 0xFFFF}",
        ".".join(f"0{part:o}" for part in parts),
    ]
    for host in spellings:
        if permits(STRICT, str(address)):
            STRICT.check(f"http://{host}/")
        else:
            with pytest.raises(UrlForbiddenError):
                STRICT.check(f"http://{host}/")


@settings(deadline=None)
@given(st.ip_addresses(v=6))
def test_whatever_python_calls_not_global_in_ipv6_is_refused(address: IPv6Address) -> None:
    assume(address.ipv4_mapped is None and address not in IPv6Network("64:ff9b::/96"))  # judged by what is inside
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        assert not permits(STRICT, str(address))


@settings(deadline=None)
@given(ADDRESSES_V4)
def test_whatever_python_calls_not_global_in_ipv4_is_refused(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert not permits(STRICT, str(address))


def test_loopback_is_permitted_where_callers_live_on_the_machine_and_nothing_else_is() -> None:
    local = UrlPolicy(allowed_hosts=(), allow_loopback=True)
    for address in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"):
        assert permits(local, address)
    for address in ("0.0.0.0", "::", "10.0.0.1", "169.254.169.254"):  # noqa: S104
        assert not permits(local, address)
    local.check("http://localhost:8080/hook")
    local.check("http://app.localhost/hook")


def test_a_listed_name_may_resolve_to_anything() -> None:
    policy = UrlPolicy(allowed_hosts=("Hooks.Corp.Example.", "bücher.example"), allow_loopback=False)
    assert permits(policy, "hooks.corp.example", "10.1.2.3")
    assert permits(policy, "HOOKS.corp.example.", "10.1.2.3")
    assert permits(policy, "xn--bcher-kva.example", "10.1.2.3")
    assert not permits(policy, "evil.hooks.corp.example", "10.1.2.3")
    assert not permits(policy, "corp.example", "10.1.2.3")


def test_a_listed_address_or_block_is_permitted_under_every_name() -> None:
    policy = UrlPolicy(allowed_hosts=("10.1.0.0/16", "192.168.1.7", "fd12::/16", "[::1]"), allow_loopback=False)
    for address in ("10.1.255.1", "192.168.1.7", "fd12:3::4", "::1", "::ffff:10.1.0.9", "64:ff9b::a01:203"):
        assert permits(policy, "any.example", address)
    for address in ("10.2.0.1", "192.168.1.8", "fd13::1", "127.0.0.1"):
        assert not permits(policy, "any.example", address)


@pytest.mark.parametrize("entry", ["http://10.0.0.1", "10.0.0.1:80", "10.0.0.0/33", "*.corp", "a b", "."])
def test_a_wrong_entry_is_refused_by_name(entry: str) -> None:
    with pytest.raises(SettingsError, match="ALLOWED_HOSTS") as refusal:
        UrlPolicy(allowed_hosts=("hooks.example", entry), allow_loopback=False)
    assert repr(entry) in refusal.value.message


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.com/x", "must start with http"),
        ("file:///etc/passwd", "must start with http"),
        ("gopher://example.com", "must start with http"),
        ("//example.com/x", "must start with http"),
        ("example.com", "must start with http"),
        ("", "must start with http"),
        ("http://", "names no host"),
        ("http:///path", "names no host"),
        ("http://./", "names no host"),
        ("http://user:secret@example.com/", "must not carry a user name"),
        ("https://example.com@10.0.0.1/", "must not carry a user name"),
        ("http://example.com:99999/", "cannot be read"),
        ("http://[::1/", "cannot be read"),
        ("http://exa mple.com/", "spaces or control"),
        ("http://example.com/\r\nX: y", "spaces or control"),
        ("http://example.com/\x00", "spaces or control"),
    ],
)
def test_what_is_not_a_plain_http_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(UrlForbiddenError, match=says):
        http_url(url)
    with pytest.raises(UrlForbiddenError, match=says):
        STRICT.check(url)


def test_a_refusal_never_repeats_a_password() -> None:
    with pytest.raises(UrlForbiddenError) as refusal:
        http_url("http://user:hunter2@example.com/")
    assert "hunter2" not in refusal.value.message


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "0xA9FEA9FE",
    ],
)
def test_a_look_at_the_url_is_enough_to_refuse_these_hosts(host: str) -> None:
    with pytest.raises(UrlForbiddenError, match="ALLOWED_HOSTS"):
        STRICT.check(f"http://{host}:8080/x")


def test_an_ordinary_url_passes() -> None:
    for url in (
        "https://hooks.example.com/a?b=c#d",
        "http://8.8.8.8:81",
        "HTTPS://EXAMPLE.com",
        "http://bücher.example",
    ):
        STRICT.check(url)
