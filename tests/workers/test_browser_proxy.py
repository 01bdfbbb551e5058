"""The browser's proxy: what it forwards, what it rewrites, and what it refuses."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.receiver import Receiver, answering, receiving, stalling
from tests.waiting import eventually
from workers._browser_heads import BadHeadError, RequestHead, closing
from workers._browser_proxy import GuardedProxy
from workplatform.outbound import Outbound
from workplatform.testing import inline_job

NO_LOOPBACK = Outbound(allowed_hosts=("127.0.0.2",), allow_loopback=False)


@contextmanager
def proxying(root: Path, outbound: Outbound | None = None) -> Iterator[GuardedProxy]:
    with inline_job(root, outbound=outbound) as run, GuardedProxy(run.job.connect) as proxy:
        yield proxy


def open_to(proxy: GuardedProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(proxy.url.rpartition(":")[2])), timeout=10)


def refuses(proxy: GuardedProxy) -> bool:
    try:
        open_to(proxy).close()
    except ConnectionRefusedError:
        return True
    return False


def all_from(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def answer_to(proxy: GuardedProxy, request: bytes) -> bytes:
    with open_to(proxy) as client:
        client.sendall(request)
        return all_from(client)


def test_a_plain_request_arrives_as_the_server_knows_it(tmp_path: Path) -> None:
    with receiving(answering(body=b"hello")) as receiver, proxying(tmp_path) as proxy:
        head = f"POST {receiver.url}/a/b?c=d HTTP/1.1\r\nHost: {receiver.host}\r\nProxy-Connection: keep-alive\r\n"
        answer = answer_to(proxy, f"{head}Content-Length: 3\r\n\r\nabc".encode())
    (request,) = receiver.requests
    assert request.line == "POST /a/b?c=d HTTP/1.1"
    assert request.body == b"abc"
    assert request.headers["connection"] == "close"
    assert "proxy-connection" not in request.headers
    assert answer.endswith(b"\r\n\r\nhello")


def test_a_server_that_keeps_the_connection_gets_no_request_for_another_host(tmp_path: Path) -> None:
    keeping = stalling(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
    )
    with receiving(keeping) as receiver, proxying(tmp_path) as proxy, open_to(proxy) as client:
        client.sendall(f"GET {receiver.url}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"ok"):
            answer += client.recv(1000)
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
        assert b"Connection: close\r\n\r\nok" in answer
        assert b"keep-alive" not in answer
        client.sendall(b"GET http://other.test/ HTTP/1.1\r\nCookie: secret\r\n\r\n")
        assert all_from(client) == b""


def test_a_tunnel_passes_bytes_both_ways(tmp_path: Path) -> None:
    def echo(_receiver: Receiver, connection: socket.socket) -> None:
        while data := connection.recv(1000):
            connection.sendall(data.upper())

    with receiving(echo) as receiver, proxying(tmp_path) as proxy, open_to(proxy) as client:
        client.sendall(f"CONNECT 127.0.0.1:{receiver.port} HTTP/1.1\r\nHost: x\r\n\r\nearly".encode())
        answer = b""
        while not answer.endswith(b"EARLY"):
            answer += client.recv(1000)
        assert answer.startswith(b"HTTP/1.1 200 ")
        client.sendall(b"late")
        assert client.recv(1000) == b"LATE"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"])
@pytest.mark.parametrize("form", ["CONNECT {host}:{port} HTTP/1.1", "GET http://{host}:{port}/ HTTP/1.1"])
def test_a_private_address_is_refused_under_every_spelling(host: str, form: str, tmp_path: Path) -> None:
    with receiving(answering()) as receiver, proxying(tmp_path, NO_LOOPBACK) as proxy:
        line = form.format(host=host, port=receiver.port)
        assert answer_to(proxy, f"{line}\r\nHost: x\r\n\r\n".encode()).startswith(b"HTTP/1.1 403 ")
        assert receiver.connections == 0
        assert list(proxy.refusals) == [host.strip("[]")]


def test_a_host_that_refuses_connections_is_noted_with_the_reason(tmp_path: Path) -> None:
    with receiving(answering()) as gone:
        line = f"CONNECT 127.0.0.1:{gone.port} HTTP/1.1\r\n\r\n"
    with proxying(tmp_path) as proxy:
        assert answer_to(proxy, line.encode()).startswith(b"HTTP/1.1 502 ")
        assert proxy.failures == {"127.0.0.1": "Connection refused"}


@pytest.mark.parametrize(
    "request_head",
    [
        b"nonsense",
        b"GET / HTTP/1.1",
        b"GET ftp://host/ HTTP/1.1",
        b"GET https://host/ HTTP/1.1",
        b"GET http://user:secret@host/ HTTP/1.1",
        b"CONNECT host HTTP/1.1",
        b"CONNECT host:99999 HTTP/1.1",
        b"CONNECT a@host:443 HTTP/1.1",
        b"POST http://host/ HTTP/1.1\r\nTransfer-Encoding: chunked",
        b"POST http://host/ HTTP/1.1\r\nContent-Length: -1",
    ],
)
def test_what_is_no_request_to_a_proxy_is_refused(request_head: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadHeadError):
        RequestHead.parse(request_head)
    with proxying(tmp_path) as proxy:
        assert answer_to(proxy, request_head + b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_head_without_end_is_refused(tmp_path: Path) -> None:
    with proxying(tmp_path) as proxy:
        assert answer_to(proxy, b"GET http://host/ HTTP/1.1\r\nX: " + b"x" * 262_144).startswith(b"HTTP/1.1 400 ")


def test_every_connection_ends_with_the_visit(tmp_path: Path) -> None:
    with receiving(stalling(b"")) as receiver, proxying(tmp_path) as proxy:
        with open_to(proxy) as busy, open_to(proxy) as idle:
            busy.sendall(f"GET {receiver.url}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert receiver.is_held.wait(10)
            proxy.__exit__()
            assert all_from(busy) == all_from(idle) == b""
        eventually(lambda: refuses(proxy))


def test_an_answer_without_a_head_is_passed_on() -> None:
    assert closing(b"SSH-2.0-x\r\n") == (b"SSH-2.0-x\r\n", b"", True)
    assert closing(b"HTTP/1.1 20") is None
