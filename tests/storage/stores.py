"""A real S3 server in a process of its own, and a proxy before it that loses, breaks and holds requests as told."""

import http.client
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import boto3
import requests
from pydantic import SecretStr

from tests.running import free_port
from tests.waiting import eventually
from workplatform.storage.s3 import Account

BUCKET = "media"
Fate = Literal["pass", "refuse", "drop", "cut", "lose", "hold"]


@dataclass(frozen=True, slots=True)
class Store:
    """A running S3 server with an empty bucket."""

    url: str
    client: Any

    def account(self, url: str = "") -> Account:
        """Return the account to use it with, through `url` if given."""
        keys = SecretStr("key"), SecretStr("secret")
        return Account(url or self.url, "us-east-1", *keys, buckets=(BUCKET,), public_url="https://cdn.test/{bucket}")

    def put(self, key: str, body: bytes) -> str:
        """Write an object; returns its URI."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def get(self, key: str) -> bytes:
        """Read an object."""
        return bytes(self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def head(self, key: str) -> dict[str, Any]:
        """Describe an object."""
        found: dict[str, Any] = self.client.head_object(Bucket=BUCKET, Key=key)
        return found

    def names(self) -> list[str]:
        """Return the keys of all objects."""
        return [entry["Key"] for entry in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", ())]

    def uploads(self) -> list[str]:
        """Return the keys of unfinished uploads."""
        return [entry["Key"] for entry in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())]

    def empty(self) -> None:
        """Remove everything."""
        for key in self.names():
            self.client.delete_object(Bucket=BUCKET, Key=key)
        for entry in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
            self.client.abort_multipart_upload(Bucket=BUCKET, Key=entry["Key"], UploadId=entry["UploadId"])


@contextmanager
def running_store(folder: Path) -> Iterator[Store]:
    """Run moto's server."""
    port = free_port()
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _answers(url))
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
        client.create_bucket(Bucket=BUCKET)
        yield Store(url, client)
        client.close()
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


@dataclass(slots=True)
class Passed:
    """A request that came to the proxy, and what became of it."""

    method: str
    path: str
    fate: Fate
    body_bytes: int


@dataclass(slots=True)
class Proxy:
    """What stands between the platform and the store; `fate` decides by the number of the request, from 1."""

    upstream: str
    fate: Callable[[int, BaseHTTPRequestHandler], Fate]
    url: str = ""
    passed: list[Passed] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    is_held: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def methods(self) -> list[str]:
        """Return the methods of the requests."""
        return [request.method for request in self.passed]


def every_third(fate: Fate) -> Callable[[int, BaseHTTPRequestHandler], Fate]:
    """Have every third request fail."""
    return lambda number, _request: fate if number % 3 == 0 else "pass"


@contextmanager
def proxied(store: Store, fate: Callable[[int, BaseHTTPRequestHandler], Fate]) -> Iterator[Proxy]:
    """Run a proxy before the store."""
    proxy = Proxy(store.url, fate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            with suppress(OSError):
                super().handle_one_request()

        def log_message(self, *_: Any) -> None:
            return

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return lambda: _pass_on(proxy, self)
            raise AttributeError(name)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _pass_on(proxy: Proxy, handler: BaseHTTPRequestHandler) -> None:
    body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    with proxy.lock:
        fate = proxy.fate(len(proxy.passed) + 1, handler)
        proxy.passed.append(Passed(handler.command, handler.path, fate, len(body)))
    if fate == "hold":
        proxy.is_held.set()
        proxy.closing.wait()
    if fate in ("drop", "hold"):
        handler.close_connection = True
        return
    if fate == "refuse":
        handler.close_connection = True
        handler.send_response(503)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    status, headers, answer = _ask(proxy, handler, body)
    if fate == "lose":  # done, but nobody hears of it
        handler.close_connection = True
        return
    handler.send_response(status)
    for name, value in headers:
        if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
            handler.send_header(name, value)
    length = {name.lower(): value for name, value in headers}.get("content-length", str(len(answer)))
    handler.send_header("Content-Length", length if handler.command == "HEAD" else str(len(answer)))
    handler.end_headers()
    if fate == "cut":
        handler.close_connection = True
        answer = answer[: len(answer) // 2]
    handler.wfile.write(answer)


def _ask(proxy: Proxy, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    host = urlsplit(proxy.upstream)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=30)
    try:
        connection.request(handler.command, handler.path, body, dict(handler.headers))
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()
