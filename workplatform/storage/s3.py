"""The configured S3 store: requests signed by boto3, sent through guarded sessions, repeated when that can help."""

import importlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, cached_property
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import requests
from pydantic import SecretStr

from workplatform.errors import PlatformError, StorageError, StorageRefusedError, TooSlowError
from workplatform.outbound import Outbound
from workplatform.settings import Settings
from workplatform.sockets import Watch, pause
from workplatform.storage.s3_errors import judge
from workplatform.storage.uris import S3Place

T = TypeVar("T")

TRIES: Final = 6
_FIRST_PAUSE_S: Final = 0.1
_CONNECT_S: Final = 5.0
_ANSWER_S: Final = 30.0
# A store may put large objects together before it answers; to ask once more meanwhile confuses some.
_LONG_ANSWER_S: Final = 600.0
_LONG_OPERATIONS: Final = frozenset({"complete_multipart_upload", "copy_object"})
# A request, its body included: a part of 8 MiB at 30 KB/s takes as long as this.
_LONGEST_REQUEST_S: Final = 300.0
PRESIGNED_FOR: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Account:
    """Where the store is, and who asks. No `endpoint` means AWS, no keys what boto3 finds in its surroundings."""

    endpoint: str = ""
    region: str = "us-east-1"
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    buckets: tuple[str, ...] = ()
    public_url: str = ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host of the endpoint, which the operator trusts by naming it, wherever it is."""
        return tuple(filter(None, [urlsplit(self.endpoint).hostname]))


def account_of(settings: Settings) -> Account:
    """Return the account that the settings describe."""
    return Account(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
        buckets=settings.s3_buckets,
        public_url=settings.s3_public_url,
    )


@cache
def _boto3() -> Any:
    """Return the session that holds boto3's description of S3, which takes most of the time to read."""
    return importlib.import_module("boto3.session").Session()


class S3:
    """The store. Thread-safe; nothing is imported or connected before the first request."""

    def __init__(self, account: Account, outbound: Outbound) -> None:
        self.account = account
        self.outbound = outbound.with_hosts(account.hosts)
        self._wire = _Wire()
        self._lock = threading.Lock()

    def check(self, place: S3Place) -> None:
        """Raise StorageRefusedError for a bucket that is not in the allow list."""
        if place.bucket not in self.account.buckets:
            raise StorageRefusedError(f"bucket {place.bucket} is not one of those that jobs may use (S3_BUCKETS)")

    @contextmanager
    def lane(self, watch: Watch, *, tries: int = TRIES) -> Iterator["Lane"]:
        """Give a connection for one thread; `watch` is asked while it waits and may raise to end that."""
        lane = Lane(self, watch, tries=tries)
        try:
            yield lane
        finally:
            lane.close()

    def presigned(self, place: S3Place, *, lasting: timedelta = PRESIGNED_FOR) -> str:
        """Return a URL that lets anyone read the object for that long (at most 7 days)."""
        url: str = self.client.generate_presigned_url(
            "get_object",
            Params={"Bucket": place.bucket, "Key": place.key},
            ExpiresIn=round(lasting.total_seconds()),
        )
        return url

    def public_url(self, place: S3Place) -> str | None:
        """Return the object's address for the public, or None if there is no S3_PUBLIC_URL.

        `{bucket}` in the setting stands for the bucket's name.
        """
        base = self.account.public_url.rstrip("/").replace("{bucket}", place.bucket)
        return f"{base}/{quote(place.key)}" if base else None

    @property
    def client(self) -> Any:
        """The boto3 client, made at the first need: it costs a quarter of a second and some 25 MB."""
        with self._lock:
            return self._client

    @cached_property
    def _client(self) -> Any:
        account = self.account
        secrets = (account.access_key_id, account.secret_access_key)
        key_id, key = (secret.get_secret_value() if secret else None for secret in secrets)
        config = importlib.import_module("botocore.config").Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if account.endpoint else "auto"},
            retries={"total_max_attempts": 1, "mode": "standard"},
            # The checksums that AWS added in 2025 are unknown to other stores.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        client = _boto3().client(
            "s3",
            endpoint_url=account.endpoint or None,
            region_name=account.region,
            aws_access_key_id=key_id,
            aws_secret_access_key=key,
            config=config,
        )
        client.meta.events.register("before-send.s3", self._wire.send)
        return client

    @contextmanager
    def sending(self, session: requests.Session, *, patience_s: float) -> Iterator[Any]:
        """Give the client; requests from this thread go through the session, and wait so long for each answer."""
        client = self.client
        with self._wire.through(session, patience_s):
            yield client


class Lane:
    """One thread's connection to the store. Every operation may be repeated, so each must bear that."""

    def __init__(self, s3: S3, watch: Watch, *, tries: int) -> None:
        self.s3 = s3
        self._tries = tries
        self._watch = watch
        self._deadline = float("inf")
        self._session = s3.outbound.session(watch=self._look)

    def close(self) -> None:
        """Drop the connection."""
        self._session.close()

    def call(self, operation: str, place: S3Place, **parameters: Any) -> dict[str, Any]:
        """Ask the store for an operation on an object, and return boto3's answer.

        Raises InputNotFoundError, StorageRefusedError, StorageError, TooSlowError, and what the watch raises.
        """
        return self.repeated(place, lambda: self.ask(operation, place, **parameters))

    def ask(self, operation: str, place: S3Place, **parameters: Any) -> dict[str, Any]:
        """Ask once; raises boto3's and requests' own errors. For use within `repeated`."""
        return self._ask(operation, Bucket=place.bucket, Key=place.key, **parameters)

    def ask_bucket(self, operation: str, place: S3Place, **parameters: Any) -> dict[str, Any]:
        """Ask for an operation on the place's bucket, and return boto3's answer."""
        return self.repeated(place, lambda: self._ask(operation, Bucket=place.bucket, **parameters))

    def renew(self) -> None:
        """Let the request go on for longer: it brings something."""
        self._deadline = time.monotonic() + _LONGEST_REQUEST_S

    def repeated(self, place: S3Place, step: Callable[[], T]) -> T:
        """Take a step until it succeeds, fails for good, or has failed too often."""
        for number in range(self._tries):
            try:
                return step()
            except PlatformError:
                raise
            except Exception as error:
                verdict = judge(error, place)
                if verdict is None:
                    raise
                if not verdict.is_passing or number == self._tries - 1:
                    raise verdict.error from error
            pause(_FIRST_PAUSE_S * 2**number * random.uniform(0.5, 1.5), self._watch)  # noqa: S311 - jitter
        raise StorageError(f"{place.uri}: the store did not answer")

    def _ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self._watch()
        patience_s = _LONG_ANSWER_S if operation in _LONG_OPERATIONS else _ANSWER_S
        self._deadline = time.monotonic() + max(_LONGEST_REQUEST_S, patience_s)
        with self.s3.sending(self._session, patience_s=patience_s) as client:
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
            return answer

    def _look(self) -> None:
        self._watch()
        if time.monotonic() > self._deadline:
            raise TooSlowError("the store takes too long for one request")


class _Wire:
    """The transport under boto3: each thread's requests go through the session that it has put in place."""

    def __init__(self) -> None:
        self._here = threading.local()

    @contextmanager
    def through(self, session: requests.Session, patience_s: float) -> Iterator[None]:
        """Send what this thread asks for through a session."""
        self._here.session, self._here.timeouts_s = session, (_CONNECT_S, patience_s)
        try:
            yield
        finally:
            self._here.session = None

    def send(self, request: Any, **_: Any) -> Any:
        """Answer botocore's `before-send` event, which takes an answer for the one it would have fetched itself."""
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.body = request.method, request.url, request.body
        prepared.headers = requests.structures.CaseInsensitiveDict(
            {name: _text(value) for name, value in request.headers.items()}
        )
        response = self._here.session.send(prepared, stream=True, allow_redirects=False, timeout=self._here.timeouts_s)
        answer = importlib.import_module("botocore.awsrequest").AWSResponse(
            request.url, response.status_code, response.headers, response.raw
        )
        if not request.stream_output:
            _ = answer.content  # read here, so that the connection is free again
        return answer


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
