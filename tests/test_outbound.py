"""Sessions: where their connections really go, and that nothing can hold them for ever."""

import itertools
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from tests.receiver import CERTIFICATES, Behaviour, Receiver, answering, deaf, dripping, over_tls, receiving, stalling
from workplatform.errors import Cancelled, UrlForbiddenError
from workplatform.outbound import Outbound, failure_reason

LOCAL = Outbound(allowed_hosts=(), allow_loopback=True)
SOON = timedelta(seconds=1)
Resolver = Callable[[dict[str, list[str]]], list[str]]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Have the system resolve names as told: each look-up takes the next of a name's addresses, the last one stays."""
    asked: list[str] = []
    ask_system = socket.getaddrinfo

    def install(names: dict[str, list[str]]) -> list[str]:
        def look_up(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
            asked.append(host)
            addresses = names[host].pop(0) if len(names[host]) > 1 else names[host][0]
            found = [ask_system(address, port, *args, **kwargs) for address in addresses.split()]
            return list(itertools.chain.from_iterable(found))

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return asked

    return install


def test_the_name_is_resolved_once_and_the_socket_goes_to_the_checked_address(resolver: Resolver) -> None:
    outbound = Outbound(allowed_hosts=("127.0.0.2",), allow_loopback=False)
    with receiving(answering(body=b"right"), host="127.0.0.2") as right:  # noqa: SIM117
        with receiving(answering(body=b"wrong"), host="127.0.0.1", port=right.port) as wrong:
            asked = resolver({"rebinding.test": ["127.0.0.2", "127.0.0.1"]})
            with outbound.session() as session:
                answer = session.get(f"http://rebinding.test:{right.port}/")
            assert answer.content == b"right"
            assert asked == ["rebinding.test"]
            assert wrong.connections == 0


def test_a_name_that_has_become_private_is_refused(resolver: Resolver) -> None:
    outbound = Outbound(allowed_hosts=("127.0.0.2",), allow_loopback=False)
    with receiving(answering(), host="127.0.0.2") as receiver, outbound.session() as session:
        resolver({"rebinding.test": ["127.0.0.2", "127.0.0.1"]})
        url = f"http://rebinding.test:{receiver.port}/"
        assert session.get(url).ok
        with pytest.raises(UrlForbiddenError, match=r"rebinding\.test has a loopback address"):
            session.get(url)


def test_only_the_permitted_of_several_addresses_is_connected_to(resolver: Resolver) -> None:
    outbound = Outbound(allowed_hosts=("127.0.0.2",), allow_loopback=False)
    with receiving(answering(body=b"right"), host="127.0.0.2") as right:  # noqa: SIM117
        with receiving(answering(body=b"wrong"), host="127.0.0.1", port=right.port) as wrong:
            resolver({"mixed.test": ["127.0.0.1 127.0.0.2"]})
            with outbound.session() as session:
                assert session.get(f"http://mixed.test:{right.port}/").content == b"right"
            assert wrong.connections == 0


def test_the_next_address_is_tried_when_one_refuses(resolver: Resolver) -> None:
    with receiving(answering(body=b"here"), host="127.0.0.2") as receiver, LOCAL.session() as session:
        resolver({"two.test": ["127.0.0.3 127.0.0.2"]})
        assert session.get(f"http://two.test:{receiver.port}/").content == b"here"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.1", "[::ffff:127.0.0.1]"])
def test_loopback_is_not_connected_to_under_any_spelling(host: str) -> None:
    outbound = Outbound(allowed_hosts=(), allow_loopback=False)
    with receiving(answering()) as receiver, outbound.session() as session:
        with pytest.raises(UrlForbiddenError):
            session.get(f"http://{host}:{receiver.port}/")
        assert receiver.connections == 0


def test_a_redirect_to_a_forbidden_address_is_refused(resolver: Resolver) -> None:
    outbound = Outbound(allowed_hosts=("start.test",), allow_loopback=False)
    with receiving(answering()) as inner:
        to_inner = answering("302 Found", b"", f"Location: http://inner.test:{inner.port}/")
        with receiving(to_inner) as outer, outbound.session() as session:
            resolver({"start.test": ["127.0.0.1"], "inner.test": ["127.0.0.1"]})
            with pytest.raises(UrlForbiddenError, match=r"inner\.test"):
                session.get(f"http://start.test:{outer.port}/")
        assert inner.connections == 0


def test_the_host_header_keeps_the_name(resolver: Resolver) -> None:
    with receiving(answering()) as receiver, LOCAL.session() as session:
        resolver({"named.test": ["127.0.0.1"]})
        session.get(f"http://named.test:{receiver.port}/")
    assert receiver.requests[0].headers["host"] == f"named.test:{receiver.port}"


def test_a_certificate_is_checked_against_the_name(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "authority.pem"))
    trusting = Outbound(allowed_hosts=(), allow_loopback=True)
    with receiving(over_tls(answering(body=b"secret"))) as receiver, trusting.session() as session:
        resolver({"hooks.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]})
        assert session.get(f"https://hooks.test:{receiver.port}/").content == b"secret"
        with pytest.raises(requests.exceptions.SSLError, match=r"other\.test"):
            session.get(f"https://other.test:{receiver.port}/")


@pytest.mark.parametrize("verify", [True, False])
def test_an_unknown_authority_is_refused_even_if_a_handler_asks_not_to_verify(
    resolver: Resolver,
    verify: bool,
) -> None:
    with receiving(over_tls(answering())) as receiver, LOCAL.session() as session:
        resolver({"hooks.test": ["127.0.0.1"]})
        with pytest.raises(requests.exceptions.SSLError) as failure:
            session.get(f"https://hooks.test:{receiver.port}/", verify=verify)
    assert "no secure connection" in failure_reason(failure.value)


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(answering(body=b"direct")) as receiver, receiving(answering()) as proxy, LOCAL.session() as session:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert session.get(receiver.url).content == b"direct"
        assert proxy.connections == 0


def test_a_proxy_that_a_handler_names_is_refused() -> None:
    with receiving(answering()) as proxy, LOCAL.session() as session:
        with pytest.raises(UrlForbiddenError, match="proxy"):
            session.get("http://127.0.0.1:9/", proxies={"http": proxy.url})
        assert proxy.connections == 0


def test_a_user_name_in_the_url_is_refused() -> None:
    with receiving(answering()) as receiver, LOCAL.session() as session:
        with pytest.raises(UrlForbiddenError, match="user name"):
            session.get(f"http://user:secret@127.0.0.1:{receiver.port}/")
        assert receiver.connections == 0


STALLS: dict[str, Behaviour] = {
    "never answers": stalling(b""),
    "drips the status line": dripping(b"HTTP/1.1 200 O", b"K"),
    "drips a header": dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    "says continue for ever": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "drips its body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"b"),
    "drips chunks": dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nc\r\n"),
    "stalls in its body": stalling(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
    "reads nothing": deaf,
}
stalls = pytest.mark.parametrize("behave", STALLS.values(), ids=STALLS.keys())
# More than the buffers between two sockets take, so that sending it waits for the reader.
BIG = b"x" * 30_000_000


def cancelling(receiver: Receiver) -> Callable[[], None]:
    """Cancel once the receiver holds the client."""

    def watch() -> None:
        if receiver.is_held.is_set():
            raise Cancelled

    return watch


@stalls
def test_a_cancelled_attempt_leaves_a_receiver_that(behave: Behaviour) -> None:
    with receiving(behave) as receiver, LOCAL.session(watch=cancelling(receiver)) as session, pytest.raises(Cancelled):
        session.post(receiver.url, data=BIG if behave is deaf else b"small")


@stalls
def test_a_cancelled_attempt_leaves_a_tls_receiver_that(
    behave: Behaviour, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "authority.pem"))
    trusting = Outbound(allowed_hosts=(), allow_loopback=True)
    resolver({"hooks.test": ["127.0.0.1"]})
    with (
        receiving(over_tls(behave)) as receiver,
        trusting.session(watch=cancelling(receiver)) as session,
        pytest.raises(Cancelled),
    ):
        session.post(f"https://hooks.test:{receiver.port}/", data=BIG if behave is deaf else b"small")


def test_a_cancelled_attempt_leaves_a_tls_handshake_that_never_comes() -> None:
    with receiving(deaf) as receiver, LOCAL.session(watch=cancelling(receiver)) as session, pytest.raises(Cancelled):
        session.get(f"https://127.0.0.1:{receiver.port}/")


def test_a_cancelled_attempt_leaves_a_resolver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    is_asked, is_over = threading.Event(), threading.Event()

    def look_up(*_args: Any, **_kwargs: Any) -> Any:
        is_asked.set()
        is_over.wait()
        return []

    def watch() -> None:
        if is_asked.is_set():
            raise Cancelled

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with LOCAL.session(watch=watch) as session, pytest.raises(Cancelled):
        session.get("http://slow.test/")
    is_over.set()


@stalls
def test_a_bound_on_the_whole_ends_the_wait_for_a_receiver_that(behave: Behaviour) -> None:
    with (
        receiving(behave) as receiver,
        LOCAL.session(within=SOON) as session,
        pytest.raises(requests.RequestException) as failure,
    ):
        session.post(receiver.url, data=BIG if behave is deaf else b"small")
    assert "in time" in failure_reason(failure.value)


def test_each_wait_ends_by_its_own_timeout_too() -> None:
    with receiving(stalling(b"")) as receiver, LOCAL.session() as session, pytest.raises(requests.ReadTimeout):
        session.get(receiver.url, timeout=(1.0, 0.3))


def test_a_large_body_arrives_whole_in_both_directions() -> None:
    def echo(receiver: Receiver, connection: socket.socket) -> None:
        body = receiver.read(connection).body
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    data = bytes(range(256)) * 40_000
    with receiving(echo) as receiver, LOCAL.session() as session:
        assert session.post(receiver.url, data=data).content == data


def test_a_connection_that_is_refused_says_so() -> None:
    with receiving(answering()) as receiver:
        url = receiver.url
    with LOCAL.session() as session, pytest.raises(requests.ConnectionError) as failure:
        session.get(url)
    assert failure_reason(failure.value) == "no connection: Connection refused"


def test_a_name_that_does_not_exist_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_args: Any, **_kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with LOCAL.session() as session, pytest.raises(requests.ConnectionError) as failure:
        session.get("http://nowhere.test/")
    assert failure_reason(failure.value) == "its name cannot be resolved"


def test_a_host_that_cannot_be_a_name_is_refused() -> None:
    with LOCAL.session() as session, pytest.raises((UrlForbiddenError, requests.exceptions.InvalidURL)):
        session.get(f"http://{'a' * 64}.test/")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"", "the connection broke: Remote end closed connection without response"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the connection broke: "),
        (b"HTTP/1.1 200 OK\r\nContent-Le", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "the connection broke: IncompleteRead(4 bytes read, "),
    ],
)
def test_an_answer_that_breaks_off_is_told_in_words(said: bytes, told: str) -> None:
    def hang_up(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(said)

    with receiving(hang_up) as receiver, LOCAL.session() as session:
        if not told:
            assert session.get(receiver.url).content == b""
            return
        with pytest.raises(requests.RequestException) as failure:
            session.get(receiver.url)
    assert failure_reason(failure.value).startswith(told)
